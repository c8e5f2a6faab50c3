"""The R4B models behind hub.fhir.r4, and what they make of the official examples."""

import subprocess
import sys
from decimal import Decimal

import pytest

from hub.fhir.r4 import model, second_opinion
from tests.validation.examples import SERVED, examples

# Official examples the R4B models refuse, each with the reason.
REFUSED = {
    "Questionnaire-qs1.json": "items without linkId, which R4 requires too",
}


def test_a_model_is_the_one_of_r4b_and_not_of_r5():
    request = model("ServiceRequest")
    assert request.__module__.startswith("fhir.resources.R4B.")
    made = request.model_validate(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/1"},
            "code": {"text": "支援依頼"},
        }
    )
    assert made.model_dump()["code"] == {"text": "支援依頼"}


def test_an_unknown_type_is_a_key_error():
    with pytest.raises(KeyError):
        model("Nonsense")


def test_importing_the_module_does_not_import_fhir_resources():
    code = "import hub.fhir.r4, sys; sys.exit('fhir.resources' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_primitive_sibling_inside_an_extension_is_no_objection():
    patient = {
        "resourceType": "Patient",
        "extension": [
            {
                "url": "https://tsunagi-hub.example/fhir/StructureDefinition/x",
                "_valueString": {"extension": [{"url": "https://x", "valueCode": "u"}]},
            }
        ],
    }
    assert second_opinion(patient) == []


def test_an_objection_names_the_place_and_not_the_value():
    found = second_opinion({"resourceType": "Patient", "birthDate": "１９９０"})
    assert found == ["birthDate"]


def test_decimals_reach_the_model():
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "体重"},
        "valueQuantity": {"value": Decimal("36.50")},
    }
    assert second_opinion(observation) == []


def test_official_examples_of_the_served_types_pass_the_second_opinion():
    refused = {
        name: found
        for name, resource in examples()
        if resource["resourceType"] in SERVED and (found := second_opinion(resource))
    }
    assert refused.keys() == REFUSED.keys(), refused
