import base64
import hashlib
import json

from hub.fhir.json import decode, encode
from hub.fhir.outcome import errors
from hub.fhir.r4 import second_opinion
from hub.fhir.references import walk
from hub.reports import Month, document, render_pdf
from hub.validation import validate
from tests.reports.build import SHEETS, a_report, a_row

PDF = b"%PDF-1.7 invented"


def a_document(rows=3, **over):
    return decode(encode(document(a_report(rows, **over), PDF)))


def resources(bundle, resource_type):
    found = [entry["resource"] for entry in bundle["entry"]]
    return [r for r in found if r["resourceType"] == resource_type]


def test_the_document_is_valid_r4_by_both_readers():
    for rows in (0, 1, 6):
        bundle = a_document(rows)
        assert errors(validate(bundle)) == []
        assert second_opinion(bundle) == []


def test_the_composition_comes_first_and_names_author_month_and_title():
    bundle = a_document()
    composition = bundle["entry"][0]["resource"]
    assert composition["resourceType"] == "Composition"
    assert (composition["title"], composition["status"]) == ("連絡票", "final")
    period = composition["event"][0]["period"]
    assert period == {"start": "2026-04-01", "end": "2026-04-30"}
    centre = next(
        entry
        for entry in bundle["entry"]
        if entry["fullUrl"] == composition["author"][0]["reference"]
    )["resource"]
    assert centre["name"] == "姶良保健所"
    assert (
        composition["custodian"]["reference"] == composition["author"][0]["reference"]
    )
    assert "subject" not in composition


def test_KG_10_there_is_one_section_a_person():
    bundle = a_document(7)
    table = bundle["entry"][0]["resource"]["section"][1]
    assert len(table["section"]) == len(resources(bundle, "Patient")) == 7
    assert "対象者数：7人" in json.dumps(bundle, ensure_ascii=False)


def test_KG_09_nothing_to_report_is_a_document_without_persons():
    bundle = a_document(0)
    assert len(bundle["entry"][0]["resource"]["section"]) == 1
    assert resources(bundle, "Patient") == []
    assert "該当なし" in json.dumps(bundle, ensure_ascii=False)


def test_every_reference_is_inside_the_document():
    bundle = a_document()
    full_urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(full_urls) == len(bundle["entry"])
    assert {element["reference"] for _, element in walk(bundle)} <= full_urls


def test_the_pdf_is_attached_whole_under_a_name_that_says_nothing():
    report = a_report()
    pdf = render_pdf(report, SHEETS)
    (file,) = resources(document(report, pdf), "DocumentReference")
    attachment = file["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]) == pdf
    assert attachment["size"] == len(pdf)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(pdf).digest()
    assert attachment["title"] == report.file_name


def test_titles_and_codes_hold_no_word_of_the_matter():
    text = json.dumps(a_document(), ensure_ascii=False)
    assert "自殺" not in text
    assert "未遂" not in text


def test_a_person_carries_what_the_form_maps_to():
    row = a_row(0, plan_status="completed")
    bundle = a_document((row,))
    (patient,) = resources(bundle, "Patient")
    (plan,) = resources(bundle, "CarePlan")
    (impression,) = resources(bundle, "ClinicalImpression")
    assert patient["name"] == [{"text": row.name}]
    assert (patient["birthDate"], patient["gender"]) == ("1985-05-12", "female")
    assert (plan["description"], plan["status"]) == (row.plan, "completed")
    assert plan["activity"][0]["detail"]["description"] == row.support
    assert plan["period"] == {"start": "2026-04-03"}
    assert plan["identifier"][0]["value"] == "case-0"
    assert impression["summary"] == row.background


def test_what_is_not_known_is_left_out():
    bare = a_row(
        background="",
        support="",
        plan="",
        correlation="",
        sex=None,
        birth_date=None,
        birth_text="昭和60年頃",
        received_on=None,
    )
    bundle = a_document((bare,))
    (patient,) = resources(bundle, "Patient")
    assert set(patient) == {"resourceType", "id", "name"}
    assert resources(bundle, "ClinicalImpression") == []
    assert errors(validate(bundle)) == []
    assert "昭和60年頃" in json.dumps(bundle, ensure_ascii=False)


def test_text_cannot_become_markup_in_the_narrative():
    bundle = a_document((a_row(plan="<script>x</script> & <b>"),))
    assert errors(validate(bundle)) == []
    assert "&lt;script&gt;" in json.dumps(bundle)


def test_the_same_report_gives_the_same_document_and_another_month_other_ids():
    assert encode(a_document()) == encode(a_document())
    ours = {entry["fullUrl"] for entry in a_document()["entry"]}
    others = {entry["fullUrl"] for entry in a_document(month=Month(2026, 5))["entry"]}
    assert not ours & others
