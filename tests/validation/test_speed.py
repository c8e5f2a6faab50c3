"""Cost: generous bounds, far above what is measured, to notice a change of order."""

import threading
import time

from hub.validation import validate
from hub.validation.shapes import shape
from hub.validation.walk import MAX_ISSUES
from tests.validation.resources import a_document, a_patient


def test_a_hostile_document_does_not_cost_the_square_of_its_size():
    document = a_document()
    section = document["entry"][0]["resource"]["section"][0]
    section["entry"] = [{"reference": f"Patient/{n}"} for n in range(20_000)]
    document["entry"] += [
        {"fullUrl": f"https://x.example/fhir/Patient/x{n}", "resource": a_patient()}
        for n in range(500)
    ]
    start = time.process_time()
    found = validate(document)
    assert len(found) == MAX_ISSUES + 1
    assert found[-1].id == "HUB-VAL-090"
    assert time.process_time() - start < 5


def test_a_hostile_reference_does_not_cost_the_square_of_its_length():
    start = time.process_time()
    for text in ("Patient?" + "=" * 200_000 + " ", "https://x" + "/A" * 200_000 + " "):
        validate(a_patient(generalPractitioner=[{"reference": text}]))
    assert time.process_time() - start < 2


def test_types_are_made_ready_once_whatever_the_threads():
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(shape("Claim"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(found) for found in seen}) == 1
    assert seen[0].properties["insurance"].shape is not None
