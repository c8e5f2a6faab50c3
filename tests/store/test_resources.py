import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import false

from hub.fhir.json import decode
from hub.fhir.outcome import FhirError
from hub.store import resources
from hub.store.visibility import hub_sees_all
from tests.store.conftest import START

RISK = {
    "resourceType": "RiskAssessment",
    "meta": {"profile": ["https://x.example/p"], "versionId": "99"},
    "status": "final",
    "subject": {"reference": "Patient/p1"},
    "extension": [{"url": "https://x.example/unknown", "valueString": "残す"}],
    "prediction": [{"probabilityDecimal": Decimal("1.50")}],
    "note": [{"text": "三"}, {"text": "一"}, {"text": "二"}],
}


def nobody(_rows):
    return false()


def test_F3_content_is_kept_and_only_id_version_and_moment_are_ours(store):
    [made] = store.create(RISK)
    read = store.read("RiskAssessment", made.id)
    assert read == made
    assert b'"probabilityDecimal":1.50' in read.body
    kept = read.resource()
    assert kept["id"] == made.id
    assert kept["meta"] == {
        "profile": ["https://x.example/p"],
        "versionId": "1",
        "lastUpdated": "2026-11-02T18:00:01.000+09:00",
    }
    ours = ("id", "meta")
    assert {k: v for k, v in kept.items() if k not in ours} == {
        k: v for k, v in RISK.items() if k not in ours
    }
    assert "id" not in RISK
    assert (read.reference, read.etag) == (f"RiskAssessment/{made.id}", 'W/"1"')


def test_F3_ids_are_random(store):
    first, second = store.create(RISK, RISK)
    assert first.id != second.id
    assert len(first.id) == 36


def test_F5_a_stale_version_is_412_and_changes_nothing(store):
    [made] = store.create(RISK)
    store.update({**RISK, "id": made.id}, expected=1)
    with pytest.raises(FhirError) as error:
        store.update({**RISK, "id": made.id, "status": "amended"}, expected=1)
    assert error.value.issues[0].id == "HUB-REST-008"
    assert error.value.status == 412
    now = store.read("RiskAssessment", made.id)
    assert (now.version, now.resource()["status"]) == (2, "final")


def test_F5_an_update_of_nothing_is_404(store):
    with pytest.raises(FhirError) as error:
        store.update({**RISK, "id": "none"})
    assert error.value.status == 404


def test_F5_K2_versions_are_gap_free_under_eight_threads(store):
    [made] = store.create(RISK)
    refused, done = [], []

    def work(name: int) -> None:
        for _ in range(5):
            seen = store.read("RiskAssessment", made.id)
            document = {**seen.resource(), "method": {"text": str(name)}}
            try:
                done.append(store.update(document, expected=seen.version).version)
            except FhirError as error:
                refused.append(error.status)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(2, 2 + len(done)))
    assert len(done) + len(refused) == 40
    assert set(refused) <= {412}
    assert store.read("RiskAssessment", made.id).version == 1 + len(done)


def test_F7_vread_gives_current_older_and_deleted_versions(store):
    [made] = store.create(RISK)
    store.update({**RISK, "id": made.id, "status": "amended"})
    store.delete("RiskAssessment", made.id)

    def vread(version, visible=hub_sees_all):
        with store.database.transaction(write=False) as session:
            return resources.vread(session, "RiskAssessment", made.id, version, visible)

    assert vread(1) == made
    assert vread(2).resource()["status"] == "amended"
    assert vread(3).deleted
    assert vread(4) is None
    assert vread(1, nobody) is None
    assert vread(3, nobody) is None


def test_F8_a_deleted_resource_is_told_and_comes_back_by_update(store):
    [made] = store.create(RISK)
    gone = store.delete("RiskAssessment", made.id)
    assert (gone.deleted, gone.version, gone.body) == (True, 2, b"")
    assert store.delete("RiskAssessment", made.id) == gone
    assert store.read("RiskAssessment", made.id) == gone
    assert store.ids(f"RiskAssessment?_id={made.id}") == []
    assert store.ids("RiskAssessment?subject=Patient/p1") == []
    back = store.update({**RISK, "id": made.id})
    assert back.version == 3
    assert store.ids("RiskAssessment?subject=Patient/p1") == [made.id]


def test_F8_a_delete_with_a_stale_version_is_412(store):
    [made] = store.create(RISK)
    with pytest.raises(FhirError) as error:
        store.delete("RiskAssessment", made.id, expected=7)
    assert error.value.status == 412


def test_G4_hidden_and_absent_read_alike(store):
    [made] = store.create(RISK)
    assert store.read("RiskAssessment", made.id, nobody) is None
    assert store.read("RiskAssessment", "absent") is None


def test_a_rolled_back_transaction_stores_nothing(store):
    try:
        with store.database.transaction() as session:
            resources.create(session, RISK, id="r1", at=START)
            assert resources.read(session, "RiskAssessment", "r1", hub_sees_all)
            raise KeyError  # noqa: TRY301
    except KeyError:
        pass
    assert store.read("RiskAssessment", "r1") is None
    assert store.search("RiskAssessment").total == 0


def test_a_clock_set_back_does_not_turn_versions_around(store):
    [made] = store.create(RISK)
    store.at -= timedelta(hours=1)
    later = store.update({**RISK, "id": made.id})
    assert later.last_updated == made.last_updated


def test_moments_are_kept_as_they_are_shown(store):
    store.at += timedelta(microseconds=123_456)
    [made] = store.create(RISK)
    assert made.last_updated.microsecond == 123_000
    assert "01.123+09:00" in decode(made.body)["meta"]["lastUpdated"]
