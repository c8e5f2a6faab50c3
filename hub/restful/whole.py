"""The steps of one transaction: ids, matches, references, then a referral or writes."""

import uuid
from collections.abc import Iterator

from hub import changes
from hub.changes import Belonging, By
from hub.database import Session
from hub.disclosure import cases
from hub.disclosure.cases import Case
from hub.disclosure.classes import PUBLIC_TYPES, class_of
from hub.fhir.json import Resource
from hub.fhir.outcome import FhirError, issue
from hub.referrals import amend, submit
from hub.referrals.gates import resource_of
from hub.referrals.submission import Parts, Submission
from hub.restful import documents, replay
from hub.restful.bundle import Entry, query_pairs
from hub.restful.call import require_interaction
from hub.restful.conditional import criteria, find_one, header_criteria
from hub.restful.gate import judge
from hub.restful.hub import Hub
from hub.restful.linking import Linker
from hub.restful.members import MEMBERSHIPS, require_members
from hub.restful.one import create_one
from hub.restful.people import require_one_person
from hub.restful.served import OWN_TYPES
from hub.restful.single import CREATED, NO_CONTENT, OK, Done, run_alone, target
from hub.restful.visible import record_read
from hub.store import resources as store
from hub.store.resources import Stored
from hub.store.visibility import hub_sees_all

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
# Never part of a case, whatever it travels with.
_APART = (*PUBLIC_TYPES, *OWN_TYPES)
_REUSED = ("Patient", "RelatedPerson")


class Whole:
    """One transaction over shared state.

    `ids` are those of new resources, `found` the existing ones that entries matched,
    both by entry index; `unmatched` the conditional deletes of nothing. After `run`,
    `known` is the answer to give when all of this was submitted before, and `made` the
    new ServiceRequest of a referral that its sender names by If-None-Exist.
    """

    def __init__(
        self, hub: Hub, session: Session, by: By, entries: list[Entry]
    ) -> None:
        self.hub, self.session, self.by, self.entries = hub, session, by, entries
        self.ids: dict[int, str] = {}
        self.found: dict[int, Stored] = {}
        self.unmatched: set[int] = set()
        self.linker = Linker(hub, session, by.actor, {}, is_transaction=True)
        self.known: bytes | None = None
        self.made: str | None = None

    def run(self) -> dict[int, Done]:
        """Do all of it; what became of each entry, by index."""
        case = self._named_case()
        self._match()
        if self.known is not None:
            return {}
        self._link()
        if case is not None:
            return self._join(case)
        if self._is_submission():
            return self._submit()
        return self._write_all()

    def _is_submission(self) -> bool:
        return any(e.type == "ServiceRequest" for e in self._posted())

    def _posted(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.method == "POST")

    def _named_case(self) -> Case | None:
        """The case that a corrected sheet joins, its contents as what was found."""
        if not self._is_submission():
            return None
        for entry in self._posted():
            number = amend.named_number(entry.body) if entry.type == "Task" else None
            if number is not None:
                path = f"{entry.path}.resource.groupIdentifier"
                case = amend.named_case(self.session, self.by.actor, number, path)
                self._take_over(case)
                return case
        return None

    def _take_over(self, case: Case) -> None:
        present = amend.present(self.session, case)
        for entry in self._posted():
            if entry.type in present:
                stored = store.read(self.session, *present[entry.type], hub_sees_all)
                if stored is not None:
                    self.found[entry.index] = stored

    def _match(self) -> None:
        """Resolve what is conditional; what meets twice in one resource is refused."""
        seen: set[object] = set()
        for entry in self.entries:
            if entry.index in self.found:
                continue
            if entry.method == "POST":
                self._match_post(entry, seen)
            elif entry.method == "PUT" and entry.id is None:
                self._match_put(entry, seen)
            elif entry.method in ("PATCH", "DELETE") and entry.id is None:
                self._match_change(entry, seen)
            if entry.method in ("PUT", "PATCH", "DELETE") and entry.id is not None:
                _once(seen, f"{entry.type}/{entry.id}", entry)

    def _match_post(self, entry: Entry, seen: set[object]) -> None:
        self.ids[entry.index] = str(uuid.uuid4())
        if entry.if_none_exist is None:
            return
        actor, raw = self.by.actor, entry.if_none_exist.encode()
        query = header_criteria(self.hub, actor, entry.type, raw)
        _once(seen, (entry.type, frozenset(query.understood)), entry)
        found = find_one(self.session, actor, entry.type, query)
        if found is None:
            return
        _once(seen, found.reference, entry)
        record_read(self.session, actor, "read", found)
        self.found[entry.index] = found
        if entry.type == "ServiceRequest":
            self.known = replay.find_request(self.session, actor, found.reference)

    def _match_put(self, entry: Entry, seen: set[object]) -> None:
        """A conditional update becomes an update or, without a match, a create."""
        actor, resource = self.by.actor, entry.body
        query = criteria(self.hub, actor, entry.type, query_pairs(entry))
        _once(seen, (entry.type, frozenset(query.understood)), entry)
        found = find_one(self.session, actor, entry.type, query)
        if resource.get("id") not in (None, found.id if found else None):
            raise FhirError(issue("HUB-REST-011", f"{entry.path}.resource.id"))
        if found is None:
            require_interaction(actor, "create", entry.type)
            entry.method = "POST"
            self.ids[entry.index] = str(uuid.uuid4())
        else:
            entry.id = resource["id"] = found.id

    def _match_change(self, entry: Entry, seen: set[object]) -> None:
        """A conditional patch or delete is about what matches before anything is done.

        R4 http.html#trules: if it met another entry in one resource, all would fail.
        """
        query = frozenset(query_pairs(entry))
        _once(seen, (entry.type, query), entry)
        found = target(self.hub, self.session, self.by, entry)
        if found is None:
            self.unmatched.add(entry.index)
        else:
            entry.id = found.id

    def _link(self) -> None:
        urls = {
            entry.full_url: self._reference(entry)
            for entry in self.entries
            if entry.full_url and entry.method in ("POST", "PUT")
        }
        self.linker = Linker(
            self.hub, self.session, self.by.actor, urls, is_transaction=True
        )
        for entry in self.entries:
            if entry.method in ("POST", "PUT") and entry.index not in self.found:
                path, is_new = f"{entry.path}.resource", entry.method == "POST"
                root = entry.root
                self.linker.link(entry.body, path, is_new=is_new, root=root)

    def _reference(self, entry: Entry) -> str:
        if entry.index in self.found:
            return self.found[entry.index].reference
        return f"{entry.type}/{entry.id or self.ids[entry.index]}"

    def _parts(self) -> Parts:
        """The referral as it will stand: what was found as it is stored."""
        posted = [e for e in self._posted() if e.type not in _APART]
        return Parts(
            {self._reference(e): self._resource(e) for e in posted},
            {self._reference(e): e.index for e in posted},
        )

    def _resource(self, entry: Entry) -> Resource:
        found = self.found.get(entry.index)
        return found.resource() if found else entry.body

    def _submit(self) -> dict[int, Done]:
        self._require_reusable()
        parts = self._parts()
        submission = judge(self.hub, self.session, self.by, parts)
        self._require_one_person(submission, parts)
        knowledge, actor = self.hub.knowledge, self.by.actor
        correlation = submit.complete(self.session, submission, knowledge, self.by)
        case = submit.new_case(submission, actor.organisation, correlation, self.by)
        cases.open_case(self.session, case, self.by.at)
        if any(e.if_none_exist for e in self._posted() if e.type == "ServiceRequest"):
            # The sender will look for it again: the answer is kept under it.
            self.made = submission.service_request
        done = self._place(case)
        submit.open_case(self.session, knowledge, self.by, case, submission)
        return self._answer_reads(done)

    def _require_reusable(self) -> None:
        """A new referral may use its sender's own Patient again, and little else."""
        for entry in self._posted():
            found = self.found.get(entry.index)
            if found is None or entry.type in _APART:
                continue
            author = cases.author_of(self.session, found.type, found.id)
            own = author in (None, self.by.actor.organisation)
            if found.type not in _REUSED or not own:
                raise FhirError(issue("HUB-REST-032", entry.path))

    def _require_one_person(self, submission: Submission, parts: Parts) -> None:
        patient = submission.patient.partition("/")[2]
        require_one_person(
            ((ref, parts.path(ref), one) for ref, one in parts.resources.items()),
            patient,
        )

    def _join(self, case: Case) -> dict[int, Done]:
        """Store a corrected form in its case, and nothing twice."""
        knowledge, corrected = self.hub.knowledge, []
        for entry in self._posted():
            if entry.type == "QuestionnaireResponse":
                path = f"{entry.path}.resource"
                after = amend.corrected(knowledge, case, entry.body, path)
                if after is not None:
                    entry.resource = after
                    corrected.append(self._reference(entry))
        if not corrected:
            raise FhirError(issue("HUB-REF-020", "Bundle.entry"))
        new = [e for e in self._posted() if e.index not in self.found]
        require_one_person(
            ((self._reference(e), f"{e.path}.resource", e.body) for e in new),
            case.patient,
        )
        done = self._place(case, is_joined=True)
        amend.tell(self.session, knowledge, self.by, case, corrected)
        return self._answer_reads(done)

    def _place(self, case: Case, *, is_joined: bool = False) -> dict[int, Done]:
        """Store the posted entries in a case; found ones are placed as they are."""
        done: dict[int, Done] = {}
        for entry in self._posted():
            found = self.found.get(entry.index)
            if found is not None and is_joined:
                told = issue("HUB-REST-031", severity="information")
                done[entry.index] = Done(OK, found, note=told)
            elif found is not None:
                self._place_found(case, found)
                done[entry.index] = Done(OK, found)
            else:
                done[entry.index] = Done(CREATED, self._create(case, entry))
        return done

    def _create(self, case: Case, entry: Entry) -> Stored:
        id, session, by = self.ids[entry.index], self.session, self.by
        if entry.type == "Bundle":
            self._require_document(case, entry)
        if entry.type in _APART:
            return create_one(self.hub, session, by, entry.body, id, is_linked=True)
        data_class = class_of(entry.body, by_recipient=False)
        place = Belonging((case.id,), data_class, case.patient)
        return changes.create(session, by, entry.body, place, id=id)

    def _require_document(self, case: Case, entry: Entry) -> None:
        """A document says nothing of another person than the case it comes with.

        Nothing in it is rewritten, so it names a Patient that is here already.
        """
        base, path = self.hub.base, f"{entry.path}.resource"
        part = documents.as_part(self.session, self.by.actor, entry.body, base)
        about = {"reference": f"Patient/{case.patient}"}
        if part.get("subject") != about:
            raise FhirError(issue("HUB-REF-017", path))
        documents.require_one_person(entry.body, case.patient, base, path)

    def _require_members(self, done: dict[int, Done]) -> None:
        """G6, once all that the transaction brings is in its cases."""
        for entry in self.entries:
            stored = done[entry.index].stored
            if entry.type in MEMBERSHIPS and entry.method == "POST" and stored:
                require_members(self.session, self.by.actor, stored.resource())

    def _place_found(self, case: Case, found: Stored) -> None:
        if found.type in _APART:
            return
        key = (found.type, found.id)
        resource = resource_of(self.session, *key)
        data_class = class_of(resource, by_recipient=False)
        author = self.by.actor.organisation
        cases.add(self.session, case.id, key, data_class, author)
        cases.adopt_drafts(self.session, [key])

    def _answer_reads(self, done: dict[int, Done]) -> dict[int, Done]:
        """A referral may be read back in its own Bundle, and nothing else changed."""
        for entry in self.entries:
            if entry.method != "POST" and not entry.is_read:
                raise FhirError(issue("HUB-REST-014", f"{entry.path}.request.method"))
            if entry.is_read:
                done[entry.index] = run_alone(self.hub, self.session, self.by, entry)
        self._require_members(done)
        return done

    def _write_all(self) -> dict[int, Done]:
        done = {index: Done(OK, stored) for index, stored in self.found.items()}
        done |= {index: Done(NO_CONTENT) for index in self.unmatched}
        for entry in sorted(self.entries, key=lambda e: _ORDER[e.method]):
            if entry.index not in done:
                entry.if_none_exist = None  # matched nothing above
                done[entry.index] = run_alone(
                    self.hub,
                    self.session,
                    self.by,
                    entry,
                    self.ids.get(entry.index),
                    linker=self.linker,
                )
        self._require_members(done)
        return done


def _once(seen: set[object], key: object, entry: Entry) -> None:
    """Two entries that meet in one resource are refused, never one dropped (F13)."""
    if key in seen:
        raise FhirError(issue("HUB-REST-021", entry.path))
    seen.add(key)
