"""An ad-hoc source: every accepted word, every fault."""

import pytest

from hub.directory.source import source_from_json
from hub.fhir.outcome import FhirError

SOURCE = {
    "organizationCode": "4619999941",
    "name": "架空第四病院",
    "kind": "救急告示",
    "municipality": "46203",
    "programme": "kagoshima",
}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("emergency", "emergency-hospital"),
        ("救急告示", "emergency-hospital"),
        ("救急告示医療機関", "emergency-hospital"),
        ("cooperating", "cooperating-hospital"),
        ("協力", "cooperating-hospital"),
        ("協力医療機関", "cooperating-hospital"),
        ("psychiatric-hospital", "psychiatric-hospital"),
        ("精神科", "psychiatric-hospital"),
        ("精神科医療機関", "psychiatric-hospital"),
        ("その他", "other-hospital"),
        ("Other", "other-hospital"),
    ],
)
def test_a_kind_is_a_code_or_its_word(gazetteer, word, kind):
    assert source_from_json({**SOURCE, "kind": word}, gazetteer).kind == kind


@pytest.mark.parametrize(
    "written", ["46203", "462039", 46203, "４６２０３", "鹿屋市", "鹿児島県鹿屋市"]
)
def test_a_municipality_is_a_code_or_a_name(gazetteer, written):
    source = source_from_json({**SOURCE, "municipality": written}, gazetteer)
    assert source.municipality == "46203"
    assert (source.code, source.programmes) == ("4619999941", ("kagoshima",))


def test_a_leading_zero_lost_in_a_number_is_put_back(gazetteer):
    source = source_from_json({**SOURCE, "municipality": 1202}, gazetteer)
    assert source.municipality == "01202"


@pytest.mark.parametrize(
    ("change", "id_", "key"),
    [
        ({"kind": "宮殿"}, "HUB-DIR-011", "kind"),
        ({"kind": ["救急告示"]}, "HUB-DIR-010", "kind"),
        ({"municipality": "99999"}, "HUB-DIR-011", "municipality"),
        ({"municipality": "府中市"}, "HUB-DIR-011", "municipality"),
        ({"name": ""}, "HUB-DIR-010", "name"),
        ({"organizationCode": None}, "HUB-DIR-010", "organizationCode"),
    ],
)
def test_a_fault_names_its_key(gazetteer, change, id_, key):
    with pytest.raises(FhirError) as caught:
        source_from_json({**SOURCE, **change}, gazetteer)
    assert [(i.id, i.expression) for i in caught.value.issues] == [(id_, key)]
    assert key in caught.value.issues[0].text


def test_every_missing_key_is_told_at_once(gazetteer):
    with pytest.raises(FhirError) as caught:
        source_from_json({}, gazetteer)
    assert [i.expression for i in caught.value.issues] == list(SOURCE)
    with pytest.raises(FhirError, match="HUB-DIR-011"):
        source_from_json([], gazetteer)
