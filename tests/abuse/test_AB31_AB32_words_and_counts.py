"""AB31, AB32: a notice tells nothing, and no number that anybody may read is a person.

There is no dashboard. Whoever may read the metrics sees counts by status alone: no label
names an organisation, a place or a case, so there are no small cells to compare.
"""

import json
import re
from pathlib import Path

import pytest

from tests.referrals.build import sent
from tests.restful.build import HOSPITAL, submit
from tests.subscriptions.build import FILTER, active, listening, send

# What a wrapping, a title or a file name must never say (rest of the world reads them).
WORDS = re.compile(
    r"自殺|未遂|自傷|希死|精神|suicid|self-harm|crisis|psychiat", re.IGNORECASE
)
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@pytest.fixture
def hook():
    with listening() as one:
        yield one


def test_AB31_a_notification_says_that_something_changed_and_nothing_else(hub, hook):
    centre = hub.caller("kagoshima-shi", "recipient")
    active(hub, centre, hook, FILTER)
    case = sent(hub, name="見本 花子")
    send(hub)
    told = hook.of("event-notification")
    assert told
    for headers, raw in hook.got:
        text = raw.decode() + json.dumps(headers)
        assert not WORDS.search(text)
        assert "見本" not in text
        assert "山下町" not in text
        assert case.patient not in text, "not even which person"
        assert HOSPITAL not in text


def test_AB31_no_name_of_a_file_or_a_route_tells_what_this_is_about(hub):
    root = Path(__file__).resolve().parent.parent.parent
    for folder in ("hub", "connectors", "mappings", "profiles"):
        for path in (root / folder).rglob("*"):
            assert not WORDS.search(path.name), path
    for path in hub.http.get("/openapi.json").json()["paths"]:
        assert not WORDS.search(path)
    for header, value in hub.http.get("/fhir/R4/metadata").headers.items():
        assert not WORDS.search(f"{header}: {value}")


def test_AB32_metrics_have_no_label_that_makes_a_cell_small(hub, source):
    submit(source)
    labels = set()
    for line in hub.http.get("/metrics").text.splitlines():
        if line.startswith("tsunagi_"):
            labels |= set(re.findall(r'([a-z_]+)="', line))
            assert not _IDS.search(line)
            assert HOSPITAL not in line
            assert "kagoshima" not in line
    assert labels <= {"method", "route", "status", "le", "state"}


def test_AB32_a_count_is_of_what_the_asker_may_read_one_by_one(source, stranger):
    """Two counts that differ by one person tell nobody anything new."""
    submit(source)
    for caller in (source, stranger):
        for kind in ("Patient", "Task", "Consent", "EpisodeOfCare"):
            total = caller.read(f"/{kind}?_summary=count")["total"]
            assert total == len(caller.search(f"/{kind}?_count=1000"))
    before = stranger.read("/Patient?_summary=count")["total"]
    submit(source)
    assert stranger.read("/Patient?_summary=count")["total"] == before
