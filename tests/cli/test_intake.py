"""`tsunagi intake`: dry without anything prepared, and stored."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from hub.database import Database
from tests.cli.conftest import Tsunagi
from tests.cli.processes import run
from tests.mappings.build import DATA, EXCEL, HEADERS, LAYOUTS, RECORDS, a_csv

WIDE = DATA / "yoshiki1_wide_cp932.csv"
HOSPITAL = "4619999917"
KEYS = {"row", "outcome", "code", "message", "bundle", "route"}
EXPECTED = [
    ("accepted", "kagoshima-shi", None),
    ("accepted", "kagoshima-shi", "aira"),
    ("accepted", "kagoshima-shi", "naze"),
    ("accepted", "kagoshima-shi", None),
    ("refused", None, None),
    ("accepted", "kagoshima-shi", "ijuin"),
    ("refused", None, None),
    ("accepted", "kagoshima-shi", None),
]
SOURCE = {
    "organizationCode": "4612345678",
    "name": "試験病院",
    "kind": "emergency-hospital",
    "municipality": "46201",
    "programme": "kagoshima",
}


def judged(tsunagi: Tsunagi, file: Path, source: object, *more: str) -> list[Any]:
    said = tsunagi("intake", file, "--source", source, "--dry-run", "--json", *more)
    return rows_of(said.must().out)


def rows_of(printed: str) -> list[Any]:
    rows: list[Any] = json.loads(printed)
    for row in rows:
        assert row.keys() >= KEYS
        assert row["route"].keys() >= {"initial", "residence", "trace"}
        for desk in (row["route"]["initial"], row["route"]["residence"]):
            assert desk is None or desk.keys() >= {"id", "name"}
        assert (row["bundle"] is None) == (row["outcome"] == "refused")
    return rows


def outcomes(rows: list[Any]) -> list[Any]:
    def desk(one: Any) -> Any:
        return one and one["id"]

    return [
        (r["outcome"], desk(r["route"]["initial"]), desk(r["route"]["residence"]))
        for r in rows
    ]


def written(name: str, content: bytes | str | Any) -> Path:
    path = Path(name)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text)
    return path


def test_a_dry_run_needs_nothing_and_leaves_nothing(empty_folder: Path):
    """As a process: pure JSON on stdout, in an empty folder that stays empty."""
    done = run(
        "intake", WIDE, "--source", HOSPITAL, "--dry-run", "--json", folder=empty_folder
    )
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    assert [row["row"] for row in rows] == list(range(1, 9))
    assert outcomes(rows) == EXPECTED
    assert rows[0]["bundle"]["resourceType"] == "Bundle"
    assert rows[0]["route"]["trace"]
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["emergency-hospital", "cooperating-hospital", "psychiatric-hospital"]
)
@pytest.mark.parametrize("more", [(), ("--mapping", "yoshiki1")])
def test_a_source_may_be_told_by_a_json_file(tsunagi: Tsunagi, kind, more):
    source = written("source.json", {**SOURCE, "kind": kind})
    assert outcomes(judged(tsunagi, WIDE, source, *more)) == EXPECTED


def test_a_json_file_with_a_byte_order_mark_is_read(tsunagi: Tsunagi):
    source = written("source.json", json.dumps(SOURCE).encode("utf-8-sig"))
    assert outcomes(judged(tsunagi, WIDE, source)) == EXPECTED


def test_the_layouts_of_the_form_are_recognised(tsunagi: Tsunagi):
    text = RECORDS.decode("cp932")
    first = next(iter(csv.DictReader(io.StringIO(text))))
    one_form = ["自殺未遂者支援（様式1）,,", *(f"{h},{first[h]}," for h in HEADERS)]
    files = {
        "sheet.xlsx": EXCEL,
        "form.csv": "\r\n".join(one_form).encode("cp932"),
        "bom.csv": text.encode("utf-8-sig"),
    }
    found = {
        name: outcomes(judged(tsunagi, written(name, raw), HOSPITAL))
        for name, raw in files.items()
    }
    assert found == {
        "sheet.xlsx": EXPECTED[:1],
        "form.csv": EXPECTED[:1],
        "bom.csv": EXPECTED,
    }


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"居住地の自治体": "13101"}, "HUB-REF-033"),
        ({"居住地の自治体": "架空市", "住所": "架空町1"}, "HUB-REF-032"),
        ({"居住地の自治体": "架空市", "住所": "住所不定"}, "HUB-REF-032"),
    ],
)
def test_LL_04_why_there_is_no_desk_has_its_own_code_and_column(
    tsunagi: Tsunagi, cells, code
):
    row = {
        "受付経路": "#いのちSOS(電話)",
        "居住地の自治体への情報提供の同意": "有",
        **cells,
    }
    headers = [c.header for c in LAYOUTS["lifelink"].columns]
    raw = a_csv(row, headers=headers)
    (found,) = judged(tsunagi, written("sheet.csv", raw), "sns-kakuu")
    assert (found["code"], found["column"]) == (code, "住所")


@pytest.mark.parametrize("by_json", [True, False])
def test_LL_01_a_counselling_provider_reaches_the_municipality_of_residence(
    tsunagi: Tsunagi, by_json: bool
):
    cells = {
        "受付経路": "#いのちSOS(自治体名) 専用アカウント",
        "居住地の自治体への情報提供の同意": "有",
        "相談者氏名": "試験　太郎",
    }
    raw = a_csv(
        {**cells, "居住地の自治体": "46218"},
        {**cells, "居住地の自治体": "46215"},
        {**cells, "居住地の自治体": "13101"},
        {**cells, "居住地の自治体": "46218", "居住地の自治体への情報提供の同意": "無"},
        headers=[c.header for c in LAYOUTS["lifelink"].columns],
    )
    told = {
        **SOURCE,
        "organizationCode": "sns-kakuu",
        "kind": "counselling-provider",
        "municipality": "13101",
        "programme": "lifelink",
    }
    source = written("source.json", told) if by_json else "sns-kakuu"
    rows = judged(tsunagi, written("sheet.csv", raw), source)
    assert outcomes(rows) == [
        ("accepted", "muni-46218-tsunagi", None),
        ("accepted", "pref-46-tsunagi", None),
        ("refused", None, None),
        ("refused", None, None),
    ]


@pytest.mark.parametrize("key", SOURCE)
@pytest.mark.parametrize("value", [None, "", [], "wrong"])
def test_each_missing_or_wrong_key_of_a_source_is_named(tsunagi: Tsunagi, key, value):
    if value == "wrong" and key in ("organizationCode", "name"):
        return  # any code and any name will do
    changed = {**SOURCE, key: value}
    if value is None:
        del changed[key]
    source = written("source.json", changed)
    said = tsunagi("intake", WIDE, "--source", source, "--dry-run").must(1)
    assert "HUB-" in said.err
    assert key in said.err


@pytest.mark.parametrize(
    ("content", "id_"),
    [
        ("{", "HUB-INT-005"),
        ("[]", "HUB-DIR-011"),
        ("[" * 100_000, "HUB-INT-005"),
        (b"\xff\xfe\x00", "HUB-INT-005"),
    ],
)
def test_a_source_file_that_is_no_source_is_refused(tsunagi: Tsunagi, content, id_):
    source = written("source.json", content)
    said = tsunagi("intake", WIDE, "--source", source, "--dry-run").must(1)
    assert id_ in said.err


@pytest.mark.parametrize(
    ("source", "id_"),
    [
        ("4600000000", "HUB-INT-004"),
        ("nowhere.json", "HUB-INT-005"),
        ("x" * 5000, "HUB-INT-005"),
        (".", "HUB-INT-005"),
    ],
)
def test_an_unknown_source_is_refused(tsunagi: Tsunagi, source, id_):
    said = tsunagi("intake", WIDE, "--source", source, "--dry-run").must(1)
    assert id_ in said.err


@pytest.mark.parametrize(
    ("raw", "more"),
    [
        (b"", ()),
        (b"a,b\r\n1,2\r\n", ()),
        (RECORDS.decode("cp932").encode("utf-16"), ()),
        (b"PK\x03\x04 broken", ()),
        (RECORDS, ("--mapping", "unknown")),
        (None, ()),
    ],
)
def test_a_file_that_cannot_be_taken_is_one_object_without_a_row(
    tsunagi: Tsunagi, raw, more
):
    file = Path("sheet.csv")
    if raw is not None:
        file.write_bytes(raw)
    said = tsunagi(
        "intake", file, "--source", HOSPITAL, "--dry-run", "--json", *more
    ).must(1)
    (row,) = rows_of(said.out)
    assert row["row"] is None
    assert row["outcome"] == "refused"
    assert row["route"] == {"initial": None, "residence": None, "trace": []}
    assert row["code"] in said.err


def test_people_see_a_table_and_a_count(tsunagi: Tsunagi):
    said = tsunagi("intake", WIDE, "--source", HOSPITAL, "--dry-run").must()
    assert "accepted 6, refused 2" in said.out
    assert "HUB-CON-001" in said.out
    assert "…" not in said.out


def test_a_stored_intake_is_idempotent_and_acts_for_its_source(
    tsunagi: Tsunagi, loaded: Database
):
    command = ("intake", WIDE, "--source", HOSPITAL, "--json")
    first = json.loads(tsunagi(*command).must().out)
    tasks = [row.get("task") for row in first]
    assert [t is not None for t in tasks] == [r["outcome"] == "accepted" for r in first]
    again = json.loads(tsunagi(*command).must().out)
    assert [row.get("task") for row in again] == tasks
    assert {r["code"] for r in again if r.get("task")} == {"HUB-INT-006"}
    with loaded.transaction(write=False) as session:
        counted = session.exec_driver_sql(
            "SELECT count(*) FROM audit_event WHERE organisation = '4619999917'"
        ).scalar_one()
    assert counted > len([t for t in tasks if t])
    assert "tsunagi" not in tsunagi("audit", "verify").must().out


def test_a_stored_intake_needs_a_source_of_the_directory(
    tsunagi: Tsunagi, loaded: Database
):
    source = written("source.json", SOURCE)
    for name in (source, "4600000000"):
        said = tsunagi("intake", WIDE, "--source", name, "--json").must(1)
        assert json.loads(said.out)[0]["code"] == "HUB-INT-004"
