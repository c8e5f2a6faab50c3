"""Distinct synthetic people: rows of a sheet, and the referrals they make."""

import csv
import io
from functools import cache

from hub.directory.ask import SeedDirectory
from hub.directory.seeds import DEFAULT, read
from hub.fhir import dates
from hub.fhir.json import encode
from hub.programmes.load import load
from hub.referrals.knowledge import Knowledge
from hub.restful.sheets import judge, read_sheet
from tests.mappings.build import PACKAGES, RECORDS, REPOSITORY
from tests.restful.build import a_name, a_referral

HOSPITAL = "4619999917"
MAPPING = "yoshiki1"

_GOOD_ROWS = (1, 2, 3, 4, 6, 8)  # of the sample; the others show what is refused
_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


def sheet(first: int, count: int) -> bytes:
    """A CSV file of `count` people, numbered from `first`; each is of its own."""
    headers, templates = _sample()
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, headers, lineterminator="\r\n")
    writer.writeheader()
    for number in range(first, first + count):
        cells = dict(templates[number % len(templates)])
        cells["氏名"] = f"試験 {str(number).translate(_DIGITS)}"
        cells["電話"] = f"099-{number // 10_000:03}-{number % 10_000:04}"
        writer.writerow(cells)
    return out.getvalue().encode()


def referrals(first: int, count: int) -> list[bytes]:
    """Transaction Bundles as the hospital's own system would send them."""
    directory = SeedDirectory(read(DEFAULT))
    source = directory.organisation(HOSPITAL)
    if source is None:
        raise LookupError(HOSPITAL)
    programmes = load(REPOSITORY / "profiles" / "programmes")
    knowledge = Knowledge(PACKAGES, programmes, "tsunagi-hub", "")
    rows = read_sheet(PACKAGES, sheet(first, count), MAPPING)
    judged = list(judge(knowledge, directory, source, rows, dates.now()))
    bundles = [one.bundle for one in judged if one.bundle is not None]
    if len(bundles) != count:
        refused = next(one for one in judged if one.bundle is None)
        raise ValueError(f"row {refused.number}: {[i.id for i in refused.issues]}")
    return [encode(bundle) for bundle in bundles]


def least_referrals(count: int) -> list[bytes]:
    """Referrals that leave eight resources: no more on the sheet than must be."""
    return [encode(a_referral(name=a_name())) for _ in range(count)]


@cache
def _sample() -> tuple[list[str], list[dict[str, str]]]:
    rows = list(csv.DictReader(io.StringIO(RECORDS.decode("cp932"))))
    return list(rows[0]), [rows[number - 1] for number in _GOOD_ROWS]
