"""F16: what a next link is bound to, and how long it lives."""

import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine

from hub.fhir.outcome import FhirError
from hub.restful import links

HUB: Any = SimpleNamespace(link_key=b"k" * 32, base="https://hub.example/fhir/R4")
ACTOR: Any = SimpleNamespace(client_id="client-1")
PATH = "Patient/1/Observation"


@pytest.fixture
def asked() -> list[tuple[str, str]]:
    link = links.next_link(HUB, ACTOR, PATH, [["code", "x"]], ["Observation/1"])
    assert link["relation"] == "next"
    assert "code=" not in link["url"]
    return parse_qsl(urlsplit(link["url"]).query)


def test_F16_a_link_is_followed_for_an_hour(asked):
    with time_machine.travel(time.time() + 3500, tick=False):
        found = links.follow(HUB, ACTOR, PATH, asked)
    assert found == ([["code", "x"]], ["Observation/1"])
    with (
        time_machine.travel(time.time() + 3700, tick=False),
        pytest.raises(FhirError) as late,
    ):
        links.follow(HUB, ACTOR, PATH, asked)
    assert late.value.issues[0].id == "HUB-REST-001"


@pytest.mark.parametrize("path", ["Patient/2/Observation", "Observation", ""])
def test_F16_a_link_is_bound_to_its_place(asked, path):
    with pytest.raises(FhirError):
        links.follow(HUB, ACTOR, path, asked)


def test_F16_a_link_is_bound_to_its_caller_and_its_key(asked):
    other: Any = SimpleNamespace(client_id="client-2")
    with pytest.raises(FhirError):
        links.follow(HUB, other, PATH, asked)
    elsewhere: Any = SimpleNamespace(link_key=b"x" * 32, base=HUB.base)
    with pytest.raises(FhirError):
        links.follow(elsewhere, ACTOR, PATH, asked)
