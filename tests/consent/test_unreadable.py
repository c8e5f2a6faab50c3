"""What cannot be read as a Consent denies, and never raises (security.md G10)."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.consent.decide import decide
from hub.consent.read import read, unreadable
from hub.disclosure.grants import Permit
from tests.consent.test_decide import ASKED, FAMILY, PERSON, RULE
from tests.referrals.build import a_consent

PERSON_ = "Patient/p"
GOOD = a_consent("person", PERSON_, "", dateTime="2026-03-01") | {
    "provision": {
        "type": "permit",
        "period": {"start": "2026-01-01", "end": "2099-03-31"},
        "purpose": [{"code": "COC"}],
        "actor": [{"reference": {"reference": "Organization/near"}}],
    }
}
JUNK: tuple[Any, ...] = (
    None,
    0,
    1.5,
    True,
    "x",
    "",
    [],
    [1],
    [[]],
    ["x"],
    {"x": 1},
    [{"x": []}],
)


def asked(consent):
    return decide([read(consent, "Consent/c", {})], RULE, ASKED)


def paths(value, path=()):
    yield from ([path] if path else [])
    keys: Any = value if isinstance(value, dict) else ()
    keys = range(len(value)) if isinstance(value, list) else keys
    for key in keys:
        yield from paths(value[key], (*path, key))


def with_(path, junk):
    changed = copy.deepcopy(GOOD)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return changed


def test_the_consent_that_is_spoiled_here_is_good():
    assert isinstance(asked(GOOD), Permit)


# What restricts or carries a consent: spoiled, nothing is left of it.
CARRYING = (
    "status", "patient", "patient.reference", "performer", "performer.0",
    "performer.0.reference", "scope", "scope.coding", "scope.coding.0", "provision",
    "scope.coding.0.code", "provision.type", "provision.period",
    "provision.period.start", "provision.period.end", "provision.actor.0",
    "provision.actor.0.reference", "provision.actor.0.reference.reference",
    "provision.purpose.0", "provision.purpose.0.code", "dateTime",
)  # fmt: skip


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=lambda p: ".".join(map(str, p)))
def test_G10_whatever_stands_in_an_element_it_is_read_and_never_raises(path):
    for junk in JUNK:
        decided = asked(with_(path, junk))
        if ".".join(map(str, path)) in CARRYING and junk:
            assert isinstance(decided, list), junk


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD, *GOOD["provision"]]), inner)
        ),
        max_leaves=12,
    )
)
def test_G10_nothing_made_at_random_is_a_consent(value):
    consent = value if isinstance(value, dict) else {"provision": value}
    assert isinstance(asked(consent), list)


def test_G10_one_that_cannot_be_read_denies_beside_any_other():
    lost = unreadable("Consent/lost")
    assert (lost.effect, lost.giver, lost.is_for_support) == ("unknown", None, False)
    for others in ([], [PERSON], [FAMILY], [PERSON, FAMILY]):
        assert isinstance(decide([lost, *others], RULE, ASKED), list)
