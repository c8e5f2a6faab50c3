"""One running hub for all tests of subscriptions, on each database there is."""

from tests.referrals.conftest import hub

__all__ = ["hub"]
