"""Clocks that are wrong or step back, and rows that may go: check T21."""

import time

import pytest
import time_machine
from sqlalchemy import func, select

from hub.smart.server import cleanup
from hub.smart.tables import token, used_assertion


@pytest.mark.parametrize("minutes", [4, -4])
def test_T21_the_rules_hold_on_a_clock_that_is_wrong(hub, minutes):
    client = hub.register().client_id
    with time_machine.travel(time.time() + minutes * 60):
        form = hub.form(client)
        assert hub.token(form).status_code == 200
        assert hub.token(form).status_code == 401
        late = hub.form(client, exp=int(time.time()) - 40)
        assert hub.token(late).status_code == 401


def test_T21_a_clock_that_steps_back_does_not_revive_an_assertion(hub):
    client = hub.register().client_id
    form = hub.form(client)
    assert hub.token(form).status_code == 200
    with (
        time_machine.travel(time.time() + 3600),
        hub.database.transaction() as session,
    ):
        cleanup(session)
    assert hub.token(form).status_code == 401


def test_a_token_ends_with_its_time(hub):
    client = hub.register().client_id
    value = hub.issue(client)
    with time_machine.travel(time.time() + 299):
        assert hub.whoami(f"Bearer {value}").status_code == 200
    with time_machine.travel(time.time() + 301):
        assert hub.whoami(f"Bearer {value}").status_code == 401


def test_cleanup_removes_what_can_no_longer_matter_and_nothing_else(hub):
    client = hub.register().client_id
    with time_machine.travel(time.time() - 2 * 86_400):
        hub.issue(client)
    live = hub.issue(client)
    with hub.database.transaction() as session:
        assert cleanup(session) >= 2
    with hub.database.transaction(write=False) as session:
        for table in (token, used_assertion):
            query = (
                select(func.count())
                .select_from(table)
                .where(table.c.client_id == client)
            )
            assert session.execute(query).scalar_one() == 1
    assert hub.whoami(f"Bearer {live}").status_code == 200
