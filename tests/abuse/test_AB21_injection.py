"""AB21: nothing that is sent begins a line, a colour or a formula of its own."""

import csv
import io
import json
import logging

import pytest
import structlog

from hub.logs import set_up
from tests.restful.build import a_name, submit

CRLF = "x\r\nSet-Cookie: a=b"


@pytest.fixture
def log(capfd):
    """What the hub says, one JSON object a line."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield lambda: capfd.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "said",
    [
        CRLF,
        "\x1b[31mred",
        "a\nb",
        "=1+1",
        "\u2028",
        "\x85",
        "\x9b31m",
        "\x00",
        "%0d%0aX: y",
    ],
)
def test_AB21_a_log_line_is_one_json_object_whatever_is_in_it(log, said):
    set_up(dev=False)
    structlog.get_logger().warning("delivery-failed", reason=said)
    logging.getLogger("uvicorn.error").error("%s", said)
    lines = log().splitlines()
    assert [json.loads(line) for line in lines if line]
    assert "\x1b[31m" not in "".join(lines)
    assert len(lines) == 2


@pytest.mark.parametrize("id_", ["a b", "\u00e9", "x" * 300, "\x1b[31m"])
def test_AB21_a_request_id_that_is_no_token_is_not_repeated(source, id_):
    headers = {"X-Request-Id": id_.encode("utf-8")}
    answer = source.get("/Patient/x", headers=headers)
    # What is no header at all does not even reach the hub.
    assert answer.status_code in (400, 404)
    assert answer.headers.get("X-Request-Id", "").encode() != id_.encode()
    assert all("\n" not in v and "\r" not in v for v in answer.headers.values())


def test_AB21_no_answer_of_the_hub_is_a_spreadsheet(source):
    """There is no CSV or Excel export whose cells could run; it takes sheets in only."""
    name = f"=cmd|'/c calc'!A0{a_name()}"
    made = submit(source)
    body = source.read(f"/{made['Patient']}")
    path = f"/{made['Patient']}"
    assert source.put(path, {**body, "name": [{"text": name}]}).status_code == 200
    for accept in ("text/csv", "application/vnd.ms-excel"):
        assert source.get(path, headers={"Accept": accept}).status_code == 406
    cells = [c for row in csv.reader(io.StringIO(source.get(path).text)) for c in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
