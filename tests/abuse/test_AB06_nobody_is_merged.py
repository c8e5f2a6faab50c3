"""AB6: a person whom another organisation knows too stays two people (G11)."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.restful.build import a_referral, case_of, entry_of, submit

SID = "https://number.example/sid"
people = st.fixed_dictionaries(
    {
        "identifier": st.just([{"system": SID, "value": "one-and-the-same"}]),
        "gender": st.sampled_from(["male", "female"]),
        "birthDate": st.sampled_from(["1990-01-01", "1991-12-31"]),
    }
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(mine=people, theirs=people, conditional=st.booleans())
def test_AB6_G11_one_identifier_in_two_organisations_is_two_patients(
    source, stranger, mine, theirs, conditional
):
    first = submit(source, a_referral(patient=mine))
    before = source.get(f"/{first['Patient']}").content
    bundle = a_referral(patient=theirs)
    if conditional:
        # Nothing of the other's matches: a new person is made.
        value = f"identifier={SID}|nobody-at-all"
        entry_of(bundle, "Patient")["request"]["ifNoneExist"] = value
    second = submit(stranger, bundle)
    assert second["Patient"] != first["Patient"]
    assert source.get(f"/{first['Patient']}").content == before
    assert stranger.read(f"/{second['Patient']}")["gender"] == theirs["gender"]
    assert case_of(source, first)["id"] != case_of(stranger, second)["id"]
    assert stranger.get(f"/{first['Patient']}").status_code == 404
