"""Many writers at one Task: nobody's note is lost or written twice (K2, K3)."""

import concurrent.futures

from tests.restful.build import child_of, submit

_CLIENTS = 8


def test_K2_K3_notes_appended_at_once_are_each_there_once(hub, source, centre):
    """Each reads, adds its note and puts under If-Match, until it is told 200."""
    child = child_of(centre, submit(source))
    first = int(child["meta"]["versionId"])

    def append(number: int) -> int:
        for refused in range(_CLIENTS * 10):
            task = centre.read(f"/Task/{child['id']}")
            notes = [*task.get("note", ()), {"text": f"架空のメモ{number}"}]
            answer = centre.change(task, note=notes)
            if answer.status_code == 200:
                return refused
            assert answer.status_code == 412, answer.text
        raise AssertionError("starved")

    with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(append, range(_CLIENTS)))
    after = centre.read(f"/Task/{child['id']}")
    texts = [note["text"] for note in after["note"]]
    assert sorted(texts) == [f"架空のメモ{number}" for number in range(_CLIENTS)]
    assert after["meta"]["versionId"] == str(first + _CLIENTS)
    versions = [
        entry["resource"]["meta"]["versionId"]
        for entry in centre.read(f"/Task/{child['id']}/_history")["entry"]
    ]
    assert versions == [str(n) for n in range(first + _CLIENTS, 0, -1)]
