"""FHIR XML read and written: the dict of the JSON, and X1-X8 of security.md §7."""

import time
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from hub.fhir import json
from hub.fhir.outcome import FhirError
from hub.fhir.xml import decode, encode
from hub.validation import validate
from hub.validation.layouts import definitions
from tests.validation.resources import XHTML

FHIR = 'xmlns="http://hl7.org/fhir"'
SECRET = "架空丸"


def read(raw: bytes | str, max_depth: int = 64):
    raw = raw.encode() if isinstance(raw, str) else raw
    return decode(raw, definitions(), max_depth)


def write(resource) -> str:
    return encode(resource, definitions()).decode()


def patient(inside: str = "") -> str:
    return f"<Patient {FHIR}>{inside}</Patient>"


def div(inside: str) -> str:
    return f'<text><status value="generated"/><div {XHTML}>{inside}</div></text>'


def refused(raw: bytes | str, max_depth: int = 64):
    """(status, id, expression) of the refusal, which holds nothing of the input."""
    with pytest.raises(FhirError) as caught:
        read(raw, max_depth)
    (found,) = caught.value.issues
    for text in (found.text, found.english, found.expression or ""):
        assert SECRET not in text
    return caught.value.status, found.id, found.expression


# Reading.

WHOLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment is no content -->
<Observation {FHIR}>
  <id value="o1"/>
  <text>
    <status value="generated"/>
    <div {XHTML}><p class="a">見本 <b>1.50</b><br/></p></div>
  </text>
  <contained>
    <Patient>
      <id value="p"/>
      <active value="true"/>
      <name id="n1">
        <given value="花子"/>
        <given id="g2"><extension url="http://x.example/a"><valueCode value="UNK"/></extension></given>
        <given value="三"/>
      </name>
      <birthDate value="1980-05"><extension url="http://x.example/b"><valueInteger value="3"/></extension></birthDate>
    </Patient>
  </contained>
  <status value="final"/>
  <code><text value="a&#10;b&#9;&quot;c&quot; &lt;&amp;"/></code>
  <subject><reference value="#p"/></subject>
  <effectiveDateTime value="2026-11"/>
  <valueQuantity><value value="1.50"/><unit value="mg"/></valueQuantity>
  <referenceRange><low><value value="5"/></low><high><value value="1E+2"/></high></referenceRange>
</Observation>
"""
PART: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "text": {
        "status": "generated",
        "div": f'<div {XHTML}><p class="a">見本 <b>1.50</b><br/></p></div>',
    },
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p",
            "active": True,
            "name": [
                {
                    "id": "n1",
                    "given": ["花子", None, "三"],
                    "_given": [
                        None,
                        {
                            "id": "g2",
                            "extension": [
                                {"url": "http://x.example/a", "valueCode": "UNK"}
                            ],
                        },
                        None,
                    ],
                }
            ],
            "birthDate": "1980-05",
            "_birthDate": {
                "extension": [{"url": "http://x.example/b", "valueInteger": 3}]
            },
        }
    ],
    "status": "final",
    "code": {"text": 'a\nb\t"c" <&'},
    "subject": {"reference": "#p"},
    "effectiveDateTime": "2026-11",
    "valueQuantity": {"value": Decimal("1.50"), "unit": "mg"},
    "referenceRange": [{"low": {"value": 5}, "high": {"value": Decimal("1E+2")}}],
}


def test_every_kind_of_content_is_read_as_its_json():
    found = read(WHOLE)
    assert found == PART
    assert str(found["valueQuantity"]["value"]) == "1.50"
    assert type(found["referenceRange"][0]["low"]["value"]) is int
    assert validate(found) == []


def test_what_is_written_is_read_back():
    again = read(write(PART))
    assert again == PART
    assert str(again["valueQuantity"]["value"]) == "1.50"


def test_elements_are_written_in_the_order_of_r4_whatever_the_order_of_the_json():
    turned = dict(reversed(PART.items()))
    assert write(turned) == write(PART)
    order = [
        etree.QName(child).localname
        for child in etree.fromstring(write(turned).encode())
    ]
    assert order == [
        "id",
        "text",
        "contained",
        "status",
        "code",
        "subject",
        "effectiveDateTime",
        "valueQuantity",
        "referenceRange",
    ]


@pytest.mark.parametrize(
    ("json_list", "xml"),
    [
        ({"given": ["a", "b"]}, '<given value="a"/><given value="b"/>'),
        ({"_given": [{"id": "x"}]}, '<given id="x"/>'),
        (
            {"given": ["a", "b"], "_given": [None, {"id": "x"}]},
            '<given value="a"/><given id="x" value="b"/>',
        ),
    ],
)
def test_lists_of_primitives_stay_aligned_with_their_extensions(json_list, xml):
    resource = {"resourceType": "Patient", "name": [json_list]}
    assert write(resource).endswith(f"<name>{xml}</name></Patient>")
    assert read(write(resource)) == resource


def test_cardinality_comes_from_the_definitions():
    found = read(patient('<name><family value="a"/></name><gender value="male"/>'))
    assert found["name"] == [{"family": "a"}]
    assert found["gender"] == "male"


def test_bundles_and_parameters_hold_resources():
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {
                "resource": {"resourceType": "Patient", "active": False},
                "response": {
                    "status": "200",
                    "outcome": {"resourceType": "OperationOutcome", "issue": []},
                },
            }
        ],
    }
    bundle["entry"][0]["response"]["outcome"].pop("issue")
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "part": [{"name": "b", "valueDecimal": Decimal("0.10")}]},
            {"name": "c", "resource": bundle},
        ],
    }
    assert read(write(parameters)) == parameters


def test_a_value_of_another_type_stays_as_it_is_for_validation_to_refuse():
    found = read(patient('<active value="yes"/><multipleBirthInteger value="1.0"/>'))
    assert (found["active"], found["multipleBirthInteger"]) == ("yes", "1.0")
    assert {i.id for i in validate(found)} == {"HUB-VAL-020"}


@pytest.mark.parametrize("inside", ["<active/>", '<active value=""/>', "<name/>"])
def test_an_empty_element_is_refused_by_validation_as_in_json(inside):
    assert "HUB-VAL-006" in {i.id for i in validate(read(patient(inside)))}


def test_an_element_that_is_called_resource_type_is_written():
    scenario = {
        "resourceType": "ExampleScenario",
        "status": "draft",
        "instance": [{"resourceId": "a", "resourceType": "Patient"}],
    }
    assert read(write(scenario)) == scenario


def test_a_byte_order_mark_of_utf_8_is_no_fault():
    assert read(b"\xef\xbb\xbf" + patient().encode()) == {"resourceType": "Patient"}


def test_prefixes_and_cdata_are_only_ways_of_writing():
    raw = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml">'
        '<f:text><f:status value="generated"/>'
        "<h:div><h:p><![CDATA[a < b]]></h:p></h:div></f:text></f:Patient>"
    )
    found = read(raw)
    assert found["text"]["div"] == f"<div {XHTML}><p>a &lt; b</p></div>"


# X1: DOCTYPE.

DOCTYPES = {
    "empty": "<!DOCTYPE Patient>",
    "internal entity": f'<!DOCTYPE Patient [<!ENTITY a "{SECRET}">]>',
    "external entity": '<!DOCTYPE Patient [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "external subset": '<!DOCTYPE Patient SYSTEM "http://127.0.0.1:9/a.dtd">',
    "public": '<!DOCTYPE Patient PUBLIC "-//a" "http://127.0.0.1:9/a.dtd">',
    "parameter entity": '<!DOCTYPE Patient [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    "attribute default": '<!DOCTYPE Patient [<!ATTLIST Patient id CDATA "a">]>',
}


@pytest.mark.parametrize("name", DOCTYPES)
def test_X1_a_doctype_is_refused(name):
    for use in ('<active value="true"/>', '<id value="&a;"/>', "<id>&a;</id>"):
        raw = DOCTYPES[name] + patient(use)
        assert refused(raw) == (400, "HUB-XML-004", None)


def test_X1_the_official_xxe_cases_are_refused():
    """As `list-xhtml-xxe1` and `-xxe2`: an entity in the body, and in the narrative."""
    head = '<!DOCTYPE foo [<!ENTITY xxe SYSTEM "file://c:/temp/xxe.txt">]>'
    body = f"<List {FHIR}>{div('<p>&xxe;</p>')}</List>"
    assert refused(head + body)[1] == "HUB-XML-004"
    assert refused(body)[1] == "HUB-XML-003"


def test_X1_a_doctype_in_utf_16_is_refused():
    raw = (DOCTYPES["internal entity"] + patient('<id value="&a;"/>')).encode("utf-16")
    assert refused(raw) == (400, "HUB-XML-002", None)


@pytest.mark.parametrize("where", ["text", "attribute"])
def test_X1_an_entity_bomb_costs_nothing(where):
    rows = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    use = div("&a9;") if where == "text" else '<id value="&a9;"/>'
    bomb = f'<!DOCTYPE a [<!ENTITY a0 "{SECRET}">{rows}]>{patient(use)}'
    begun = time.perf_counter()
    assert refused(bomb) == (400, "HUB-XML-004", None)
    assert time.perf_counter() - begun < 1


MANY = " ".join(f'a{n}=""' for n in range(60_000))
FLOODS = {
    "attributes": (patient(f"<name {MANY}/>"), "HUB-XML-009"),
    "attributes of a primitive": (patient(f"<active {MANY}/>"), "HUB-XML-009"),
    "attributes of a resource": (f"<Patient {FHIR} {MANY}/>", "HUB-XML-009"),
    "attributes in a narrative": (patient(div(f"<b {MANY}/>")), "HUB-XML-014"),
    "instructions": (patient("<?a?>" * 200_000), "HUB-XML-005"),
    "entities": (
        "<!DOCTYPE a ["
        + "".join(f'<!ENTITY a{n} "b">' for n in range(60_000))
        + f"]>{patient()}",
        "HUB-XML-004",
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_AB26_the_cost_grows_with_the_size_and_no_faster(name):
    """Each took minutes once: lxml's `attrib.items()`, a set of instructions."""
    raw, id = FLOODS[name]
    begun = time.process_time()
    assert refused(raw)[:2] == (400, id)
    assert time.process_time() - begun < 3


# X2: encoding.


@pytest.mark.parametrize(
    "raw",
    [
        patient().encode("utf-16"),
        patient().encode("utf-32"),
        ("<!DOCTYPE Patient>" + patient()).encode("utf-16-le"),
        ("<!DOCTYPE Patient>" + patient()).encode("utf-16-be"),
        patient().encode("utf-32-be"),
        patient().encode("cp037"),
        patient(f'<id value="{SECRET}"/>').encode("shift_jis"),
        b'<?xml version="1.0" encoding="UTF-7"?>' + patient().encode(),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE Patient>'
        + patient().encode(),
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + patient().encode(),
        b'<?xml version="1.0" encoding="UTF-16"?>' + patient().encode(),
    ],
)
def test_X2_only_utf_8_is_read(raw):
    assert refused(raw) == (400, "HUB-XML-002", None)


# X3: XInclude and processing instructions.


def test_X3_an_xinclude_is_an_unknown_element():
    include = (
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"'
        ' parse="text"/>'
    )
    assert refused(patient(include)) == (400, "HUB-XML-008", "Patient")
    held = patient(f"<contained>{include}</contained>")
    assert refused(held) == (400, "HUB-XML-007", "Patient.contained[0]")
    assert refused(patient(div(include))) == (400, "HUB-XML-014", "Patient.text.div")
    assert refused(include)[1] == "HUB-XML-007"


@pytest.mark.parametrize(
    "raw",
    [
        '<?xml-stylesheet href="http://127.0.0.1:9/a.xsl"?>' + patient(),
        patient('<?php echo "a"?>'),
        patient(div("a<?b c?>")),
        patient() + "<?b c?>",
    ],
)
def test_X3_processing_instructions_are_refused(raw):
    assert refused(raw) == (400, "HUB-XML-005", None)


# X4: depth; the size (X5) is measured on the wire, in tests/restful/test_formats.py.


def nested(levels: int) -> str:
    one = '<extension url="http://x.example/a">'
    return patient(one * levels + "</extension>" * levels)


def test_X4_the_depth_is_limited_as_in_json():
    """What passes here is no deeper than the JSON reader takes."""
    fits = read(nested(31))  # each extension is a list and an object
    assert json.decode(json.encode(fits)) == fits
    assert refused(nested(32))[:2] == (400, "HUB-XML-006")
    assert refused(nested(3), max_depth=6)[1] == "HUB-XML-006"
    assert refused(nested(5000))[1] in {"HUB-XML-003", "HUB-XML-006"}


@pytest.mark.parametrize("depth", range(1, 9))
def test_X4_the_limit_is_that_of_the_json_reader_for_every_kind_of_value(depth):
    for inside in (
        '<name><given value="a"/></name>',
        '<active value="true"><extension url="a:b"><valueCode value="c"/></extension></active>',
        '<name><given id="x"/></name>',
        '<contained><Patient><id value="a"/></Patient></contained>',
    ):
        raw = json.encode(read(patient(inside)))
        try:
            json.decode(raw, depth)
        except FhirError:
            assert refused(patient(inside), depth)[1] == "HUB-XML-006"
        else:
            read(patient(inside), depth)


def test_X4_a_narrative_is_64_deep_at_most():
    deep = "<b>" * 63 + "a" + "</b>" * 63
    assert read(patient(div(deep)))["text"]["div"].count("<b>") == 63
    deeper = "<b>" * 64 + "a" + "</b>" * 64
    assert refused(patient(div(deeper))) == (400, "HUB-XML-006", "Patient.text.div")


# X6: what is not FHIR.


@pytest.mark.parametrize(
    ("raw", "id", "expression"),
    [
        ("<Patient/>", "HUB-XML-007", None),
        ('<Patient xmlns="http://x.example"/>', "HUB-XML-007", None),
        (f"<DomainResource {FHIR}/>", "HUB-XML-007", None),
        (f"<HumanName {FHIR}/>", "HUB-XML-007", None),
        (f"<{SECRET} {FHIR}/>", "HUB-XML-007", None),
        (patient("<unknown/>"), "HUB-XML-008", "Patient.unknown"),
        (patient(f"<{SECRET}/>"), "HUB-XML-008", "Patient"),
        (patient('<active xmlns="" value="true"/>'), "HUB-XML-008", "Patient"),
        (patient("<name/><name><x/></name>"), "HUB-XML-008", "Patient.name[1].x"),
        (patient(f"<text><div>{SECRET}</div></text>"), "HUB-XML-008", "Patient.text.div"),
        (patient('<resourceType value="a"/>'), "HUB-XML-008", "Patient.resourceType"),
        (patient(f'<name a="{SECRET}"/>'), "HUB-XML-009", "Patient.name[0]"),
        (patient(f'<active value="true" {SECRET}="a"/>'), "HUB-XML-009", "Patient.active"),
        (f'<Patient {FHIR} id="a"/>', "HUB-XML-009", "Patient"),
        (patient('<active value="true" url="a"/>'), "HUB-XML-009", "Patient.active"),
        (patient('<contained id="a"><Patient/></contained>'), "HUB-XML-009", "Patient.contained[0]"),
        (
            f'<Patient {FHIR} xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="a b"/>',
            "HUB-XML-009",
            "Patient",
        ),
        (patient('<gender value="male"/><active value="true"/>'), "HUB-XML-010", "Patient.active"),
        (patient('<active value="true"/><active value="false"/>'), "HUB-XML-011", "Patient.active"),
        (patient(SECRET), "HUB-XML-012", "Patient"),
        (patient(f"<name/>{SECRET}"), "HUB-XML-012", "Patient"),
        (patient(f'<active value="true">{SECRET}</active>'), "HUB-XML-012", "Patient.active"),
        (patient('<multipleBirthInteger value="1234567890123456789"/>'), "HUB-XML-013", "Patient.multipleBirth.ofType(integer)"),
        (patient("<contained/>"), "HUB-XML-015", "Patient.contained[0]"),
        (patient("<contained><Patient/><Patient/></contained>"), "HUB-XML-015", "Patient.contained[0]"),
        (patient("<contained><Nothing/></contained>"), "HUB-XML-007", "Patient.contained[0]"),
        (patient('<extension url="a:b"><valueDecimal value="1e999"/></extension>'), "HUB-XML-013", "Patient.extension[0].value.ofType(decimal)"),
        (patient(f'<extension url="a:b"><valueDecimal value="1e{"9" * 40}"/></extension>'), "HUB-XML-013", "Patient.extension[0].value.ofType(decimal)"),
    ],
)  # fmt: skip
def test_X6_what_is_not_fhir_is_refused_at_its_place(raw, id, expression):
    assert refused(raw) == (400, id, expression)


def test_X6_the_line_of_the_fault_is_told():
    with pytest.raises(FhirError) as caught:
        read(patient('\n<active value="true"/>\n<unknown/>'))
    assert "3行目" in caught.value.issues[0].text


# X7: narratives.


@pytest.mark.parametrize(
    "inside",
    [
        "<script>a</script>",
        '<p onclick="a()">a</p>',
        '<a href="javascript:a()">a</a>',
        '<img src="data:image/svg+xml;base64,QUJD"/>',
        "<form>a</form>",
    ],
)
def test_X7_active_content_is_refused_as_in_json(inside):
    assert "HUB-VAL-022" in {i.id for i in validate(read(patient(div(inside))))}


@pytest.mark.parametrize(
    "inside",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"/>',
        '<p xmlns:a="http://x.example" a:b="c">a</p>',
        '<p xml:base="http://x.example">a</p>',
    ],
)
def test_X7_another_namespace_in_a_narrative_is_refused(inside):
    assert refused(patient(div(inside))) == (400, "HUB-XML-014", "Patient.text.div")


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (f"<div {XHTML}>a&nbsp;&copy;<br></br></div>", f"<div {XHTML}>a\xa0©<br/></div>"),
        (f"<div title='\"' {XHTML}>'a' &gt;</div>", f'<div {XHTML} title="&quot;">\'a\' &gt;</div>'),
        (f"<div {XHTML}><!-- b -->a\n  <p xml:lang='ja'/></div>", f'<div {XHTML}><!-- b -->a\n  <p xml:lang="ja"/></div>'),
        (f"<div {XHTML} title='a&#10;b'>&#13;</div>", f'<div {XHTML} title="a&#10;b">&#13;</div>'),
    ],
)  # fmt: skip
def test_a_narrative_is_written_in_one_form(given, canonical):
    text = {"status": "generated", "div": given}
    resource = {"resourceType": "Patient", "text": text}
    assert read(write(resource))["text"]["div"] == canonical
    text["div"] = canonical
    assert read(write(resource)) == resource


# X8 and the rest.


@pytest.mark.parametrize("raw", [b"", b" \n"])
def test_X8_an_empty_body_is_told(raw):
    assert refused(raw) == (400, "HUB-XML-001", None)


@pytest.mark.parametrize(
    "raw",
    [
        SECRET,
        "{}",
        patient("<name>"),
        patient() + patient(),
        patient('<id value="&x;"/>'),
        patient('<id value="&#0;"/>'),
        patient('<id value="&#xFFFF;"/>'),
        patient('<id value="&#xD800;"/>'),
        patient('<id value="a" value="b"/>'),
        patient('<id value="\x07"/>'),
        '<?xml version="1.1"?>' + patient(),
        f"<p:Patient {FHIR}/>",
    ],
)
def test_X8_what_is_not_well_formed_is_told_without_the_input(raw):
    assert refused(raw) == (400, "HUB-XML-003", None)


@pytest.mark.parametrize("value", ["\ufffe", "a\uffff", "\x00", "\ud800"])
def test_what_xml_cannot_say_is_406_and_never_dropped(value):
    with pytest.raises(FhirError) as caught:
        write({"resourceType": "Patient", "language": value})
    assert (caught.value.status, caught.value.issues[0].id) == (406, "HUB-XML-016")


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Nothing"},
        {"resourceType": "Patient", "unknown": 1},
        {"resourceType": "Patient", "name": [{"_id": {"id": "x"}}]},
    ],
)
def test_a_key_without_definition_is_never_left_out_in_silence(resource):
    with pytest.raises(ValueError):
        write(resource)


def test_J8_the_json_reader_takes_nothing_that_xml_cannot_say():
    for raw in (
        b'{"resourceType":"A","b":"\\uffff"}',
        '{"resourceType":"A","b":["\ufffe"]}'.encode(),
    ):
        with pytest.raises(FhirError) as caught:
            json.decode(raw)
        assert caught.value.issues[0].id == "HUB-JSON-008"
