"""Logs tell what happened and never what was in it (AB20)."""

import json
import logging

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.database import Database
from hub.logs import set_up

NAME = "試験 太郎"


@pytest.mark.parametrize("dev", [True, False])
def test_AB20_a_librarys_traceback_has_no_message(capfd, dev):
    set_up(dev=dev)
    try:
        int(NAME)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    logging.getLogger("httpx").warning("GET https://x/?name=試験")
    said = capfd.readouterr().err
    assert "ValueError" in said
    assert "test_logs.py" in said
    assert "太郎" not in said
    assert "name=" not in said
    if not dev:
        (line,) = said.splitlines()
        assert json.loads(line)["logger"] == "uvicorn.error"


def test_our_own_logs_are_one_json_object_a_line(capfd):
    set_up(dev=False)
    structlog.get_logger().warning("delivery-failed", message="m1")
    told = json.loads(capfd.readouterr().err)
    assert told["event"] == "delivery-failed"
    assert told["level"] == "warning"


def test_AB20_an_error_of_the_database_does_not_tell_its_values(database: Database):
    statement = text("INSERT INTO nowhere VALUES (:name)")
    with pytest.raises(DBAPIError) as raised, database.transaction() as session:
        session.execute(statement, {"name": NAME})
    assert "太郎" not in str(raised.value)


def test_AB20_our_own_traceback_shows_no_local_value(capfd):
    set_up(dev=True)
    token = f"Bearer {NAME}"
    try:
        int(token)
    except ValueError:
        structlog.get_logger().exception("internal error", request_id="r1")
    said = capfd.readouterr().err
    assert "r1" in said
    assert "ValueError" in said
    assert "太郎" not in said
