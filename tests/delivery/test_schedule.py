"""When a message is tried again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.schedule import MAX_ATTEMPTS, OUTAGE, SCHEDULE, delay, pause

RANDOM = st.randoms(use_true_random=False)


def test_the_schedule_lasts_about_three_days():
    assert SCHEDULE[:4] == (0, 5, 300, 1800)
    assert [hours * 3600 for hours in (2, 5, 10, 14, 20, 24)] == list(SCHEDULE[4:])
    assert 72 < sum(SCHEDULE) / 3600 < 80


@given(st.integers(0, MAX_ATTEMPTS - 1), RANDOM)
def test_each_wait_is_jittered_around_its_place(attempts, rng):
    seconds = delay(attempts, None, rng)
    assert seconds is not None
    assert SCHEDULE[attempts] * 0.9 <= seconds <= SCHEDULE[attempts] * 1.1


def test_two_messages_do_not_come_back_at_the_same_moment():
    rng = random.Random(1)
    assert len({delay(3, None, rng) for _ in range(50)}) == 50


@given(st.integers(MAX_ATTEMPTS, 100), RANDOM)
def test_after_the_last_attempt_comes_the_dead_letter(attempts, rng):
    assert delay(attempts, None, rng) is None
    assert delay(attempts, 10.0, rng) is None


@given(st.integers(0, MAX_ATTEMPTS - 1), st.floats(-1e9, 1e9), RANDOM)
def test_retry_after_lengthens_and_never_shortens_a_wait(attempts, asked, rng):
    seconds = delay(attempts, asked, rng)
    assert seconds is not None
    assert seconds >= SCHEDULE[attempts] * 0.9
    assert seconds >= min(asked, 86_400)
    assert seconds <= max(SCHEDULE[attempts] * 1.1, 86_400)


@given(st.integers(1, 10_000))
def test_an_endpoint_rests_from_the_outage_on_and_never_long(failures):
    resting = pause(failures, None)
    assert resting == 0 if failures < OUTAGE else 5 <= resting <= 60
    assert pause(failures, 600.0) == 600.0
