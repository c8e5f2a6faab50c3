"""A kept answer is decided anew when it is given again (security.md §1.4, C5, AB11)."""

import uuid

from tests.restful.build import (
    CENTRE,
    a_bundle,
    a_caller,
    a_name,
    a_referral,
    again,
    get,
    locations,
    submit,
)
from tests.smart.build import ASSERTION_TYPE, assertion, ec_key


def _withdraw(source, made):
    consent = source.read(f"/{made['Consent']}")
    consent["status"] = "inactive"
    assert source.put(f"/{made['Consent']}", consent).status_code == 200


def _key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_AB11_a_repeated_key_reads_nothing_that_was_withdrawn(source, centre):
    name, key = a_name(), _key()
    made = submit(source, a_referral(name=name))
    _, id = made["Patient"].split("/")
    asked = a_bundle(get(f"Patient/{id}"), get(f"Patient?_id={id}"))
    first = centre.post("", asked, headers=key)
    assert first.text.count(name) >= 2
    assert centre.post("", asked, headers=key).content == first.content
    _withdraw(source, made)
    again_ = centre.post("", asked, headers=key)
    assert again_.status_code == 200
    assert name not in again_.text
    assert all("resource" not in entry for entry in again_.json()["entry"])


def test_AB11_a_repeated_submission_shows_nothing_that_was_withdrawn(source):
    name, key = a_name(), _key()
    whole = {"Prefer": "return=representation"}
    bundle = a_referral(name=name)
    first = source.post("", again(bundle), headers=key | whole)
    assert name in first.text
    _withdraw(source, locations(first))
    second = source.post("", again(bundle), headers=key | whole)
    assert locations(second) == locations(first)
    assert name not in second.text


def test_G3_a_repeated_key_shows_nothing_to_a_token_of_fewer_scopes(hub, source):
    name, key = a_name(), _key()
    made = submit(source, a_referral(name=name))
    wide = a_caller(hub, CENTRE, "recipient", scopes="system/Task.s system/Patient.s")
    asked = a_bundle(
        get(f"Task?part-of={made['Task']}&_include=Task:subject"),
    )
    assert name in wide.post("", asked, headers=key).text
    wide.token = _narrower(hub, wide, "system/Task.s")
    assert name not in wide.post("", asked, headers=key).text


def _narrower(hub, caller, scope):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(
            caller.client_id, ec_key(), hub.settings.token_url, None
        ),
        "scope": scope,
    }
    return hub.http.post("/oauth/token", data=form).json()["access_token"]


def test_K6_what_a_repeated_key_shows_is_audited_for_the_person(source, centre, hub):
    made, key = submit(source), _key()
    asked = a_bundle(get(made["Patient"]))
    privacy = hub.caller("tsunagi-hub", "privacy")
    about = f"/AuditEvent?patient={made['Patient']}&agent={CENTRE}&_count=1"
    centre.post("", asked, headers=key)
    before = privacy.read(about)["total"]
    centre.post("", asked, headers=key)
    assert privacy.read(about)["total"] == before + 1
