"""AB9: ids are random, versions count one resource, and no id is chosen by a client."""

import re
import uuid

from tests.restful.build import a_patient, refusal, submit

_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_AB9_ids_are_random_and_versions_count_one_resource(source, stranger):
    mine = [submit(source) for _ in range(2)]
    theirs = submit(stranger)
    made = [ref.partition("/")[2] for one in (*mine, theirs) for ref in one.values()]
    assert all(_V4.fullmatch(id_) for id_ in made)
    assert len(set(made)) == len(made)
    assert len({id_[:8] for id_ in made}) == len(made), "no counter in front"
    patient = mine[0]["Patient"]
    for number in ("1", "2", "3"):
        body = source.read(f"/{patient}")
        assert body["meta"]["versionId"] == number
        submit(stranger)  # what others write moves no number of ours
        answer = source.put(f"/{patient}", {**body, "language": f"x-{number}"})
        assert answer.headers["ETag"] == f'W/"{int(number) + 1}"'


def test_AB9_an_id_of_a_case_type_cannot_be_chosen_so_it_cannot_be_probed(
    source, stranger
):
    hidden = submit(stranger)["Patient"].partition("/")[2]
    free = str(uuid.uuid4())
    answers = [source.put(f"/Patient/{i}", a_patient(id=i)) for i in (hidden, free)]
    assert [refusal(a) for a in answers] == [(405, "HUB-REST-004")] * 2
    assert answers[0].content == answers[1].content
