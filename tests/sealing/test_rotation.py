"""Content keys change while the hub runs; nothing is lost, whenever it is stopped."""

import base64
import json
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
from sqlalchemy import func, select, update

from hub.fhir import dates
from hub.fhir.outcome import FhirError
from hub.running.rotate import rotate, uses
from hub.sealing.body import key_id
from hub.sealing.keys import FILE_NAME, ContentKeys, add, create, drop, load
from hub.sealing.tables import sealed_content
from hub.smart.signing import FILE_NAME as SIGNING
from hub.smart.signing import generate, signing_keys
from hub.store import resources, tables
from hub.subscriptions import secrets
from hub.subscriptions.tables import subscription
from tests.cli.processes import COMMAND, environment, run
from tests.sealing.conftest import a_document, holds, secret


def tsunagi(hub, *arguments, folder):
    return run(
        *arguments,
        folder=folder,
        database_url=hub.settings.database_url,
        state=str(hub.settings.state),
    )


def fill(hub, count):
    with hub.database.transaction() as session:
        for number in range(count):
            document = a_document(b"number %d" % number)
            resources.create(session, document, id=f"d{number}", at=dates.now())


def bodies(hub):
    with hub.database.transaction(write=False) as session:
        query = select(tables.resource.c.body).where(
            tables.resource.c.type == "DocumentReference"
        )
        return [bytes(body) for body in session.execute(query).scalars()]


def under_key(hub, id):
    with hub.database.transaction(write=False) as session:
        return session.execute(
            select(func.count()).where(sealed_content.c.key_id == id)
        ).scalar_one()


def test_a_rotation_beside_a_running_hub_loses_no_write_and_no_read(
    hub, source, tmp_path
):
    fill(hub, 150)
    old = str(load(hub.settings.state / FILE_NAME)[0].kid)
    stop = threading.Event()
    wrong: list[str] = []
    sent: dict[str, bytes] = {}

    def write():
        while not stop.is_set():
            content = secret()
            answer = source.request("POST", "/Binary", content=content,
                                    headers={"Content-Type": "text/plain"})  # fmt: skip
            if answer.status_code != 201:
                wrong.append(answer.text)
                return
            sent[answer.json()["id"]] = content
            last = list(sent)[-3:]
            wrong.extend(
                id for id in last if source.get(f"/Binary/{id}").content != sent[id]
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not (sent or wrong):
            time.sleep(0.01)
        made = tsunagi(hub, "keys", "new", folder=tmp_path)
        assert made.returncode == 0, made.stderr
        rotated = tsunagi(hub, "keys", "rotate", folder=tmp_path)
        assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    finally:
        stop.set()
        thread.join()
    assert not wrong
    assert under_key(hub, old) == 0
    listed = tsunagi(hub, "keys", "list", folder=tmp_path)
    assert old in listed.stdout
    dropped = tsunagi(hub, "keys", "drop", old, folder=tmp_path)
    assert dropped.returncode == 0, dropped.stderr
    assert [key.kid for key in load(hub.settings.state / FILE_NAME)] != [old]
    for id, content in sent.items():
        assert source.get(f"/Binary/{id}").content == content
    assert hub.http.get("/readyz").status_code == 200


def test_a_rotation_stopped_half_way_goes_on_where_it_stopped(hub, source):
    fill(hub, 250)
    path = hub.settings.state / FILE_NAME
    old, new = str(load(path)[0].kid), add(path)
    keys = ContentKeys(path)
    half = rotate(hub.database, keys)
    next(half)
    half.close()  # as killed between two transactions
    between = under_key(hub, old)
    assert 0 < between < 250
    for number in (0, 249):  # some under the one, some under the other
        assert source.get(f"/DocumentReference/d{number}").status_code in (200, 404)
    assert hub.http.get("/readyz").status_code == 200
    done = sum(one.sealed for one in rotate(hub.database, keys))
    assert done == between
    assert under_key(hub, old) == 0
    assert {key_id(body) for body in bodies(hub)} == {new}
    assert sum(one.sealed for one in rotate(hub.database, keys)) == 0


def test_K8_a_rotation_killed_by_the_system_leaves_every_row_readable(hub, tmp_path):
    fill(hub, 400)
    path = hub.settings.state / FILE_NAME
    old = str(load(path)[0].kid)
    add(path)
    settings = environment(
        database_url=hub.settings.database_url, state=str(hub.settings.state)
    )
    with subprocess.Popen(
        [*COMMAND, "keys", "rotate"], cwd=tmp_path, env=settings,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while under_key(hub, old) == 400 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    with hub.database.transaction(write=False) as session:
        for number in range(400):
            found = resources.read(
                session, "DocumentReference", f"d{number}", resources_seen
            )
            assert found
            data = found.resource()["content"][0]["attachment"]["data"]
            assert base64.b64decode(data) == b"number %d" % number
    again = tsunagi(hub, "keys", "rotate", folder=tmp_path)
    assert again.returncode == 0
    assert under_key(hub, old) == 0


def resources_seen(rows):
    return rows.c.id.is_not(None)


def test_what_an_older_hub_left_in_clear_is_sealed(hub, source):
    content = secret()
    answer = source.post("/DocumentReference", a_document(content))
    with hub.database.transaction() as session:
        session.execute(
            update(tables.resource)
            .where(tables.resource.c.id == answer.json()["id"])
            .values(body=answer.content)
        )
        session.execute(sealed_content.delete())
    assert holds(hub, base64.b64encode(content)[:200])
    path = f"/DocumentReference/{answer.json()['id']}"
    assert source.get(path).content == answer.content
    keys = ContentKeys(hub.settings.state / FILE_NAME)
    assert sum(one.sealed for one in rotate(hub.database, keys)) == 1
    assert not [body for body in bodies(hub) if body.startswith(b"{")]
    assert source.get(path).content == answer.content


def test_a_row_that_does_not_open_is_counted_and_left(hub, source, tmp_path):
    fill(hub, 3)
    path = hub.settings.state / FILE_NAME
    with hub.database.transaction() as session:
        other = session.execute(
            select(tables.resource.c.body).where(tables.resource.c.id == "d1")
        ).scalar_one()
        session.execute(
            update(tables.resource)
            .where(tables.resource.c.id == "d0")
            .values(body=other)
        )
    add(path)
    done = list(rotate(hub.database, ContentKeys(path)))
    assert sum(one.sealed for one in done) == 2
    assert sum(one.refused for one in done) == 1
    assert tsunagi(hub, "keys", "rotate", folder=tmp_path).returncode == 1


def test_a_key_that_is_needed_is_not_dropped(hub, tmp_path):
    fill(hub, 1)
    path = hub.settings.state / FILE_NAME
    old, new = str(load(path)[0].kid), add(path)
    for id in (old, new):
        told = tsunagi(hub, "keys", "drop", id, folder=tmp_path)
        assert told.returncode == 1
        assert "HUB-KEY-006" in told.stderr
    assert len(load(path)) == 2
    assert uses(hub.database)[old] == 1


def test_subscribers_headers_follow_the_signing_key(hub, tmp_path):
    path = hub.settings.state / SIGNING
    old = json.loads(path.read_bytes())
    keys = secrets.keys(signing_keys(hub.settings))
    row: dict[str, Any] = {column.name: "" for column in subscription.c}
    row |= {
        "id": "s1", "verified": 1, "max_count": 1, "events": 0, "errors": "[]",
        "heartbeat": None, "timeout": None, "ends": None, "heartbeat_at": None,
        "headers": secrets.seal(keys, "s1", {"Authorization": "Bearer x"}),
    }  # fmt: skip
    with hub.database.transaction() as session:
        session.execute(subscription.insert().values(**row))
    fresh = generate().as_dict(private=True)
    path.write_bytes(json.dumps({"keys": [fresh, old]}).encode())
    assert tsunagi(hub, "keys", "rotate", folder=tmp_path).returncode == 0
    path.write_bytes(json.dumps({"keys": [fresh]}).encode())
    alone = secrets.keys(signing_keys(hub.settings))
    with hub.database.transaction(write=False) as session:
        sealed = session.execute(select(subscription.c.headers)).scalar_one()
    assert secrets.unseal(alone, "s1", bytes(sealed)) == {"Authorization": "Bearer x"}


def test_two_new_keys_at_once_are_both_kept(tmp_path):
    path = tmp_path / FILE_NAME
    create(path)
    threads = [threading.Thread(target=add, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.kid for key in load(path)}) == 9
    drop(path, [str(key.kid) for key in load(path)])
    assert len(load(path)) == 1  # the one that encrypts stays
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "id"),
    [
        (b"", "HUB-KEY-003"),
        (b"[]", "HUB-KEY-003"),
        (b'{"keys": []}', "HUB-KEY-003"),
        (b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "short"}]}', "HUB-KEY-003"),
        (b'{"keys": [{"kty": "oct", "k": "%s"}]}' % (b"A" * 43), "HUB-KEY-003"),
        (None, "HUB-KEY-002"),
    ],
)
def test_a_broken_key_file_is_said(tmp_path, content, id):
    path = tmp_path / FILE_NAME
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(FhirError, match=id):
        ContentKeys(path)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / FILE_NAME
    create(path)
    path.chmod(0o640)
    with pytest.raises(FhirError, match="HUB-KEY-004"):
        ContentKeys(path)
