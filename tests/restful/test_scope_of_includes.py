"""What a reference to anything brings along stays inside the token's scopes (G2, G3)."""

import pytest

from tests.restful.build import CENTRE, a_caller, submit

NARROW = "system/Task.rs system/Provenance.rs"


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("Task?_include=Task:focus", {"Task"}),
        ("Task?_include=Task:subject", {"Task"}),
        ("Task?_include=Task:based-on", {"Task"}),
        ("Provenance?_include=Provenance:target", {"Provenance", "Task"}),
        ("Provenance?_include=Provenance:entity", {"Provenance"}),
        (
            "Provenance?_include=Provenance:target&_include:iterate=Task:focus",
            {"Provenance", "Task"},
        ),
    ],
)
def test_G3_an_include_of_any_target_brings_no_type_out_of_scope(
    hub, source, asked, wanted
):
    submit(source)
    narrow = a_caller(hub, CENTRE, "recipient", scopes=NARROW)
    assert {one["resourceType"] for one in narrow.search(f"/{asked}")} == wanted


def test_G3_with_the_scope_the_target_comes_along(hub, source):
    submit(source)
    wide = a_caller(
        hub, CENTRE, "recipient", scopes=f"{NARROW} system/ServiceRequest.s"
    )
    found = wide.search("/Task?_include=Task:focus")
    assert {one["resourceType"] for one in found} == {"Task", "ServiceRequest"}
