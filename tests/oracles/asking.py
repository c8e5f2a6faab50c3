"""Requests made up from a seed: every door of the API, with ids that are the asker's,
another's, or nobody's.

A request is bytes, fixed before it is sent: the twins get the same ones.
"""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from hub.disclosure.tables import case
from hub.fhir.canonical import CASE_ID
from hub.restful.served import CASE_TYPES, searchable
from tests.oracles.worlds import BASE, CENTRE, HOSPITAL, NEXT, RECORDS, SID, Twins
from tests.referrals.build import NEAR, PHONE_CALL
from tests.restful.build import a_referral
from tests.restful.least import LEAST, document, least
from tests.store.queries import Maker
from tests.subscriptions.build import a_subscription

JSON = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATCH = {"Content-Type": "application/json-patch+json"}
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request below the base (or `/intake`); `walks` follows its pages."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    walks: bool = False


class Asking:
    """Makes requests; `read` gives the asker's own current resource of a key."""

    def __init__(
        self, made: Twins, read: Callable[[Key], dict[str, Any] | None]
    ) -> None:
        self.random, self._twins, self._read = made.random, made, read
        self._words = sorted(_words(made))
        self._numbers = sorted(_numbers(made))

    def requests(self) -> Iterator[Asked]:
        """Without an end."""
        ways = (
            *(self.search,) * 9,
            *(self.read, self.read, self.version, self.history, self.history),
            *(self.update, self.patch, self.delete, self.create, self.create),
            *(self.conditional, self.conditional, self.bundle, self.bundle),
            *(
                self.referral,
                self.referral,
                self.operation,
                self.subscription,
                self.compartment,
            ),
            self.broken,
        )
        while True:
            yield self.random.choice(ways)()

    def key(self) -> Key:
        """Mostly another's; the asker's own; or one that never was."""
        pick = self.random.choice
        hidden, shared = self._twins.hidden, self._twins.shared
        way = self.random.randrange(10)
        if way < 5 and hidden:
            return pick(hidden)
        if way < 8 and shared:
            return pick(shared)
        kind = pick(hidden or shared)[0]
        return kind, str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def reference(self, kind: str | None = None) -> str:
        """To a resource of the kind if one is known."""
        keys = [self.key() for _ in range(1 if kind is None else 8)]
        return "/".join(next((k for k in keys if kind in (None, k[0])), keys[0]))

    def search(self) -> Asked:
        types = sorted(searchable()) if self.random.randrange(3) else sorted(CASE_TYPES)
        types = [name for name in types if name in searchable()]
        ids = [key[1] for key in (self.key() for _ in range(6))]
        place, query = Maker(self.random.getrandbits(32), types, ids).query()
        if self.random.randrange(5) > 1:
            place, query = self._pointed()
        if self.random.randrange(4) == 0:
            path = f"/{place}/_search" if place else "/_search"
            return Asked("POST", path, FORM, query.encode(), walks=True)
        return Asked("GET", f"/{place}?{query}", walks=True)

    def _pointed(self) -> tuple[str, str]:
        """What somebody would ask who knows of the other person."""
        pick, word = self.random.choice, quote(self.random.choice(self._words))
        kind, id_ = self.key()
        record = pick(RECORDS[:-3])
        return pick(
            [
                ("Patient", f"identifier={quote(SID)}|{word}"),
                ("Patient", f"name:contains={word}&_total=accurate&_summary=count"),
                ("Patient", f"_has:Observation:patient:status=final&name={word}"),
                ("Patient", f"_has:{record}:subject:_lastUpdated=gt2000"),
                ("Patient", f"_has:{record}:subject:{_HELD}={pick(_SCALES)}"),
                ("Patient", f"_revinclude={record}:subject&_count={pick('123')}"),
                ("Task", f"_include=Task:patient&_revinclude:iterate={record}:subject"),
                ("Task", f"patient:Patient._has:{record}:subject:_id={id_}"),
                ("Patient", f"_revinclude=*&_count={pick('12')}"),
                ("Patient", f"_has:Task:patient:_has:Task:part-of:_id={id_}"),
                ("Task", f"patient.name={word}&_count=1"),
                ("Task", f"patient=Patient/{id_}&_include=*&_revinclude=*"),
                ("Observation", f"subject:Patient.identifier={quote(SID)}|{word}"),
                ("Observation", f"patient:not={id_}&_sort=-patient,_id"),
                ("Observation", f"patient:missing=false&_include={pick(_LINKS)}"),
                ("Task", f"{pick(_WIDE)}&_count={pick('123')}&_sort={pick(_SORTS)}"),
                ("Patient", f"{pick(_WIDE)}&_count=1&_sort={pick(_SORTS)}"),
                ("", f"_type=Patient,Task,Observation&{pick(_WIDE)}&_count=2"),
                (kind, f"_id={id_}&_revinclude=*&_include=*"),
                (kind, f"_id={id_}&_summary=count"),
                (kind, f"_id:not={id_}&_elements=id&_count=3"),
                ("Provenance", f"target={kind}/{id_}"),
                ("Task", f"part-of=Task/{id_}&_include:iterate=Task:part-of"),
                ("List", f"item={kind}/{id_}&_include=List:item"),
                ("EpisodeOfCare", "_revinclude=Encounter:episode-of-care&_include=*"),
            ]
        )

    def read(self) -> Asked:
        kind, id_ = self.key()
        tail = self.random.choice(
            ("", "", "?_summary=true", "?_elements=id", "?_format=xml", "?_pretty=true")
        )
        headers = self.random.choice(
            (
                {},
                {"If-None-Match": 'W/"1"'},
                {"If-None-Match": "*"},
                {"If-Modified-Since": "Tue, 24 Nov 2026 00:00:00 GMT"},
                {"Accept": "application/fhir+xml"},
                {"Accept": "text/html"},
                {"Accept-Encoding": "gzip"},
            )
        )
        return Asked(
            self.random.choice(("GET", "GET", "HEAD", "OPTIONS")),
            f"/{kind}/{id_}{tail}",
            headers,
        )

    def version(self) -> Asked:
        kind, id_ = self.key()
        return Asked(
            self.random.choice(("GET", "HEAD")),
            f"/{kind}/{id_}/_history/{self.random.choice('1123x')}",
        )

    def history(self) -> Asked:
        kind, id_ = self.key()
        place = self.random.choice((f"/{kind}/{id_}", f"/{kind}", f"/{kind}", ""))
        asked = self.random.choice(
            ("", "?_count=1", "?_count=2", "?_since=2026-11-02T00:00:01Z", "?_count=0")
        )
        return Asked("GET", f"{place}/_history{asked}", walks=True)

    def compartment(self) -> Asked:
        key = self.reference("Patient")
        kind = self.random.choice(("*", *CASE_TYPES))
        return Asked("GET", f"/{key}/{kind}?_count=2&_include=*", walks=True)

    def update(self) -> Asked:
        key = self.key()
        headers = {**JSON, **self._if_match(), **self._prefer()}
        return Asked("PUT", "/{}/{}".format(*key), headers, dumped(self._changed(key)))

    def patch(self) -> Asked:
        headers = {**PATCH, **self._if_match(), **self._prefer()}
        body = dumped(self._operations())
        return Asked("PATCH", "/{}/{}".format(*self.key()), headers, body)

    def delete(self) -> Asked:
        headers = {**self._if_match(), **self._prefer()}
        return Asked("DELETE", "/{}/{}".format(*self.key()), headers)

    def create(self) -> Asked:
        new, headers = self._new(), {**JSON, **self._prefer()}
        if self.random.randrange(4) == 0:
            condition = self._condition(new["resourceType"])
            headers["If-None-Exist"] = quote(condition, "=&?|:/")
        if self.random.randrange(6) == 0:
            headers["Idempotency-Key"] = self.random.choice(("k1", "k2"))
        if self.random.randrange(8) == 0:
            said = least("Provenance", entity=[self._entity()])
            headers["X-Provenance"] = json.dumps(
                {
                    **{k: v for k, v in said.items() if k != "target"},
                    "agent": [{"who": {"display": "x"}}],
                }
            )
        return Asked("POST", f"/{new['resourceType']}", headers, dumped(new))

    def conditional(self) -> Asked:
        kind = self.random.choice(("Patient", "Observation", "Task", "Consent"))
        prefer = self._prefer()
        path = f"/{kind}?{quote(self._condition(kind), '=&?|:/')}"
        match self.random.randrange(4):
            case 0:
                return Asked("DELETE", path, prefer)
            case 1:
                body = dumped(self._operations())
                return Asked("PATCH", path, {**PATCH, **prefer}, body)
        new = self._new(kind)
        if self.random.randrange(2):
            new["id"] = self.key()[1]
        headers = {**JSON, **prefer, **self._if_match()}
        return Asked("PUT", path, headers, dumped(new))

    def bundle(self) -> Asked:
        kind = self.random.choice(("batch", "transaction"))
        entries = [self._entry() for _ in range(self.random.choice((1, 2, 3)))]
        made = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return Asked("POST", "", {**JSON, **self._prefer()}, dumped(made))

    def referral(self) -> Asked:
        """A whole referral that reaches out for somebody else's."""
        pick, bundle = self.random.choice, a_referral()
        urls = {
            one["fullUrl"]: f"urn:uuid:{uuid.UUID(int=self.random.getrandbits(128))}"
            for one in bundle["entry"]
        }
        text = json.dumps(bundle)
        for old, new in urls.items():
            text = text.replace(old, new)
        bundle = json.loads(text)
        parts = {e["resource"]["resourceType"]: e for e in bundle["entry"]}
        person = parts["Patient"]
        person["resource"]["address"] = [{"use": "home", "text": NEAR}]
        parts["Task"]["resource"]["input"] = [PHONE_CALL]
        match self.random.randrange(7):
            case 0:
                person["request"]["ifNoneExist"] = self._condition("Patient")
            case 1:
                parts["ServiceRequest"]["request"]["ifNoneExist"] = self._condition(
                    "ServiceRequest"
                )
            case 2 | 6:
                number = {"system": CASE_ID, "value": pick(self._numbers)}
                parts["Task"]["resource"]["groupIdentifier"] = number
            case 3:
                to = f"Patient?identifier={SID}|{pick(self._words)}"
                parts["ServiceRequest"]["resource"]["subject"] = {"reference": to}
            case 4:
                parts["ServiceRequest"]["resource"]["basedOn"] = [
                    {"reference": self.reference("ServiceRequest")}
                ]
            case 5:
                bundle["entry"].append(self._entry())
        headers = {**JSON, **self._prefer()}
        if self.random.randrange(2):
            headers["X-Correlation-Id"] = pick(self._numbers)
        if self.random.randrange(3) == 0:
            headers["Idempotency-Key"] = pick(("k1", "k2"))
        return Asked("POST", "", headers, dumped(bundle))

    def operation(self) -> Asked:
        kind, id_ = self.key()
        if self.random.randrange(2):
            return Asked("GET", f"/EpisodeOfCare/{id_}/$explain-access")
        if self.random.randrange(2):
            return Asked("GET", f"/{kind}/{id_}/$everything")
        given = [
            {"name": "patient", "resource": least("Patient", id=id_)},
            {
                "name": "source",
                "valueReference": {"reference": f"Organization/{HOSPITAL}"},
            },
        ]
        body = dumped({"resourceType": "Parameters", "parameter": given})
        return Asked("POST", "/HealthcareService/$route", JSON, body)

    def subscription(self) -> Asked:
        pick, id_ = self.random.choice, self.key()[1]
        ids = [key[1] for key in self._twins.hidden if key[0] == "Subscription"]
        id_ = pick(ids) if ids and self.random.randrange(2) else id_
        if self.random.randrange(3) == 0:
            told = f"Task?owner=HealthcareService/{pick((CENTRE, NEXT, id_))}"
            body = a_subscription("http://127.0.0.1:9/hook", told)
            return Asked("POST", "/Subscription", JSON, dumped(body))
        way = pick(("$status", "$events", "$secret", f"$status?id={id_}"))
        at = "/Subscription" if "?" in way else f"/Subscription/{id_}"
        return Asked("GET", f"{at}/{way}")

    def broken(self) -> Asked:
        kind, id_ = self.key()
        return self.random.choice(
            [
                Asked("PUT", f"/{kind}/{id_}", JSON, b"{"),
                Asked("PUT", f"/{kind}/{id_}", JSON, b'{"resourceType":"Patient"}'),
                Asked("PUT", f"/{kind}/{id_}", {"Content-Type": "text/plain"}, b"x"),
                Asked("PATCH", f"/{kind}/{id_}", PATCH, b"[]"),
                Asked("PATCH", f"/{kind}/{id_}", JSON, b'{"op":"x"}'),
                Asked("GET", f"/{kind}/{id_}?nope=1"),
                Asked("GET", f"/{kind}/{id_}/_history/0"),
                Asked("POST", f"/{kind}/{id_}", JSON, b"{}"),
                Asked("GET", f"/{kind}?_page={'A' * 80}"),
                Asked("GET", f"/Nothing/{id_}"),
                Asked("PUT", f"/{kind}/{id_}", {**JSON, "If-Match": "x"}, b"{}"),
                Asked("GET", f"/AuditEvent/{id_}"),
                Asked("GET", f"/AuditEvent?patient={id_}"),
            ]
        )

    def _if_match(self) -> dict[str, str]:
        tag = self.random.choice((None, None, 'W/"1"', 'W/"2"', 'W/"9"'))
        return {} if tag is None else {"If-Match": tag}

    def _prefer(self) -> dict[str, str]:
        wanted = self.random.choice(_PREFERRED)
        return {} if wanted is None else {"Prefer": f"return={wanted}"}

    def _condition(self, kind: str) -> str:
        pick, key = self.random.choice, self.reference()
        if kind == "Patient":
            return pick(
                (
                    f"identifier={SID}|{pick(self._words)}",
                    f"_id={key.partition('/')[2]}",
                    f"_has:Task:patient:_id={key.partition('/')[2]}",
                )
            )
        return pick(
            (
                f"_id={key.partition('/')[2]}",
                f"patient={self.reference('Patient')}",
                f"patient.identifier={SID}|{pick(self._words)}",
            )
        )

    def _new(self, kind: str | None = None) -> dict[str, Any]:
        """A new resource that refers to the asker's, another's or nobody's."""
        kinds = [k for k in LEAST if k in CASE_TYPES and k != "Consent"]
        kind = kind or self.random.choice((*kinds, "Bundle", "Bundle", "Observation"))
        to = {"reference": self.reference("Patient")}
        if kind == "Bundle":
            return self._document(f"{BASE}/fhir/R4/{to['reference']}")
        element = {
            "Patient": None,
            "Task": "for",
            "RelatedPerson": "patient",
            "Consent": "patient",
            "FamilyMemberHistory": "patient",
            "Binary": "securityContext",
            "Group": None,
            "Appointment": None,
        }.get(kind, "subject")
        new = least(kind, **({element: to} if element else {}))
        if kind == "Provenance":
            del new["subject"]
            new["target"] = [to]
        if kind == "Task":
            new |= {"status": "requested", "intent": "order"}
        if kind == "Group":
            new["member"] = [{"entity": to}]
        if kind == "Patient":
            value = self.random.choice(self._words)
            new["identifier"] = [{"system": SID, "value": value}]
        if self.random.randrange(3) == 0 and kind != "Binary":
            about = {"reference": self.reference()}
            new["extension"] = [{"url": f"{SID}/about", "valueReference": about}]
        return new

    def _document(self, patient: str) -> dict[str, Any]:
        """A document about a person that mentions somebody's resource."""
        own = [id_ for kind, id_ in self._twins.shared if kind == "Patient"]
        if self.random.randrange(3):
            patient = f"{BASE}/fhir/R4/Patient/{self.random.choice(own)}"
        entries = json.loads(json.dumps(document(patient)))
        about = {"reference": f"{BASE}/fhir/R4/{self.reference()}"}
        said = {"url": f"{SID}/about", "valueReference": about}
        entries[0]["resource"]["extension"] = [said]
        return least("Bundle", entry=entries)

    def _entity(self) -> dict[str, Any]:
        return {"role": "source", "what": {"reference": self.reference()}}

    def _changed(self, key: Key) -> dict[str, Any]:
        """The asker's own resource with a change; else something under this id."""
        found = self._read(key)
        if found is None:
            kind = key[0] if key[0] in LEAST else "Patient"
            return {**self._new(kind), "id": key[1], "resourceType": key[0]}
        if self.random.randrange(2):
            about = {"reference": self.reference()}
            return {
                **found,
                "extension": [{"url": f"{SID}/about", "valueReference": about}],
            }
        return {**found, "language": self.random.choice(("ja", "en"))}

    def _operations(self) -> list[dict[str, Any]]:
        pick = self.random.choice
        about = {"reference": self.reference()}
        return pick(
            [
                [{"op": "add", "path": "/language", "value": "ja"}],
                [{"op": "test", "path": "/gender", "value": "female"}],
                [{"op": "replace", "path": "/status", "value": "final"}],
                [
                    {
                        "op": "add",
                        "path": "/extension",
                        "value": [{"url": f"{SID}/about", "valueReference": about}],
                    }
                ],
            ]
        )

    def _entry(self) -> dict[str, Any]:
        return self._written() if self.random.randrange(2) else self._asked()

    def _written(self) -> dict[str, Any]:
        pick, key = self.random.choice, self.key()
        url = "/".join(key)
        match self.random.randrange(5):
            case 0 | 1:
                new = self._new()
                request = {"method": "POST", "url": new["resourceType"]}
                if self.random.randrange(2):
                    request["ifNoneExist"] = self._condition(new["resourceType"])
                full_url = f"urn:uuid:{uuid.UUID(int=self.random.getrandbits(128))}"
                return {"fullUrl": full_url, "resource": new, "request": request}
            case 2:
                changed = self._changed(key)
                request = {"method": "PUT", "url": url, "ifMatch": 'W/"1"'}
                return {"resource": changed, "request": request}
            case 3:
                raw = base64.b64encode(dumped(self._operations())).decode()
                binary = {
                    "resourceType": "Binary",
                    "contentType": "application/json-patch+json",
                    "data": raw,
                }
                kind = pick(("Patient", "Observation"))
                wanted = pick((url, f"{kind}?{self._condition(kind)}"))
                request = {"method": "PATCH", "url": wanted}
                return {"resource": binary, "request": request}
        kind = pick(("Patient", "Observation"))
        wanted = pick((url, f"{kind}?{self._condition(kind)}"))
        return {"request": {"method": "DELETE", "url": wanted}}

    def _asked(self) -> dict[str, Any]:
        pick, key = self.random.choice, self.key()
        url = "/".join(key)
        match self.random.randrange(3):
            case 0:
                place, query = self._pointed()
                wanted = f"{place or 'Task'}?{query}"
                return {"request": {"method": "GET", "url": wanted}}
            case 1:
                wanted = pick((f"{url}/_history", f"{key[0]}/_history", "_history"))
                return {"request": {"method": "GET", "url": wanted}}
        request = {"method": pick(("GET", "HEAD")), "url": url}
        if self.random.randrange(2):
            request["ifNoneMatch"] = 'W/"1"'
        return {"request": request}


_PREFERRED = (None, None, "minimal", "OperationOutcome", "representation")
_HELD, _SCALES = "_lastUpdated", ("gt2026-11-02T00:00:00.300Z", "lt2026-11-03")
_LINKS = ("Observation:subject", "Observation:patient", "*", "Observation:encounter")
_WIDE = ("_lastUpdated=ge2000", "_id:not=x", "", "_lastUpdated=gt2026-11-01")
_SORTS = ("_id", "-_id", "_lastUpdated", "-_lastUpdated", "-_lastUpdated,_id")


def _words(made: Twins) -> set[str]:
    """Values that identify people: of the asker, of others, of nobody."""
    found = {"nobody", "own0", "own1", "高崎", "見本", "%", "_", "O'Neil"}
    found |= {name for name in made.fuller.ids if name.startswith("theirs")}
    return found


def _numbers(made: Twins) -> set[str]:
    """Referral numbers of cases, others' too."""
    with made.fuller.hub.database.transaction(write=False) as session:
        return set(session.execute(select(case.c.correlation)).scalars())


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
