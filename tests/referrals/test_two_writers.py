"""Two who write the same Task at the same moment (security.md K2)."""

from concurrent.futures import ThreadPoolExecutor

from tests.referrals.build import sent

CENTRE = "kagoshima-shi"


def test_of_two_who_write_at_once_one_wins_and_one_is_told(hub):
    centre = hub.caller(CENTRE, "recipient")
    task = sent(hub).child(CENTRE)
    with ThreadPoolExecutor(2) as both:
        codes = both.map(
            lambda status: centre.change(task, status=status).status_code,
            ("received", "accepted"),
        )
        assert sorted(codes) == [200, 412]
    assert centre.read(f"/Task/{task['id']}")["meta"]["versionId"] == "2"
