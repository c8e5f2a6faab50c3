"""Scope algebra (security.md §9.3): scopes as sets of (context, type, letter).

The model is written from §2.2 and knows nothing of `hub.smart`: a text means a set of
triples over a small world of types, and the hub's functions must do with texts what
sets do with triples.
"""

import re

from hypothesis import given
from hypothesis import strategies as st

from hub.actor import Actor, Letter
from hub.smart import scopes
from hub.smart.roles import ROLES, scopes_of

LETTERS: tuple[Letter, ...] = ("c", "r", "u", "d", "s")
V1 = {"read": "rs", "write": "cud", "*": "cruds"}
# What `*` never includes, and what it does.
NAMED = ("AuditEvent", "SmartClient", "SmartPerson")
WORLD = ("Task", "Patient", "Observation", *NAMED)

rights = st.one_of(
    st.sampled_from([*V1]),
    st.sets(st.sampled_from(LETTERS)).map(
        lambda some: "".join(one for one in LETTERS if one in some)
    ),
    # Malformed: out of order, doubled, other letters, other case.
    st.sampled_from(["dus", "rr", "x", "RS", "sr", "rs?status=a", "read.", ""]),
)
words = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(["system", "user", "patient", "System"]),
    st.sampled_from(["Task", "Patient", "*", *NAMED, "task", "T*"]),
    rights,
)
texts = st.lists(st.one_of(words, st.just("openid")), max_size=6).map(" ".join)
WORD = re.compile(r"(system|user)/([A-Z][A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)")


def meaning(text):
    """The triples that a scope text allows."""
    found = set()
    for word in text.split(" "):
        if not (match := WORD.fullmatch(word)):
            continue
        context, kind, some = match.groups()
        kinds = [one for one in WORLD if one not in NAMED] if kind == "*" else [kind]
        found |= {(context, k, letter) for k in kinds for letter in V1.get(some, some)}
    return found


def of(context, triples):
    return {one for one in triples if one[0] == context}


@given(texts, texts)
def test_RS8_a_grant_is_the_intersection(requested, registered):
    both = meaning(requested) & meaning(registered)
    assert meaning(scopes.grant(requested, registered)) == of("system", both)
    assert meaning(scopes.grant(requested, registered, "user")) == of("user", both)


@given(texts, texts)
def test_RS8_a_token_may_what_was_granted_and_is_still_registered(granted, registered):
    actor = Actor("c", "o", scopes.effective(granted, registered))
    both = meaning(granted) & meaning(registered)
    for kind in WORLD:
        for letter in LETTERS:
            allowed = {("system", kind, letter), ("user", kind, letter)} & both
            assert actor.may(letter, kind) is bool(allowed)


@given(texts, texts, texts)
def test_G8_more_asked_or_registered_never_takes_anything_away(first, second, more):
    least = meaning(scopes.grant(first, second))
    assert least <= meaning(scopes.grant(f"{first} {more}", second))
    assert least <= meaning(scopes.grant(first, f"{second} {more}"))


@given(texts, texts, texts)
def test_G8_the_grant_of_two_requests_is_the_union_of_their_grants(one, other, known):
    together = meaning(scopes.grant(f"{one} {other}", known))
    apart = meaning(scopes.grant(one, known)) | meaning(scopes.grant(other, known))
    assert together == apart


@given(texts, texts, texts)
def test_RS8_the_order_of_narrowing_does_not_matter(asked, first, second):
    there = scopes.grant(scopes.grant(asked, first), second)
    back = scopes.grant(scopes.grant(asked, second), first)
    assert meaning(there) == meaning(back)
    assert meaning(scopes.grant(there, first)) == meaning(there)


@given(texts)
def test_RS8_what_is_rendered_is_read_back_the_same(text):
    read = scopes.parse(text)
    assert scopes.parse(scopes.render_all(read)) == read
    assert meaning(scopes.render_all(read)) == meaning(text)


@given(texts, texts)
def test_RS8_both_notations_mean_the_same(requested, registered):
    def in_v2(text):
        for v1, v2 in V1.items():
            text = re.sub(rf"\.{re.escape(v1)}(?= |$)", f".{v2}", text)
        return text

    assert scopes.parse(in_v2(requested)) == scopes.parse(requested)
    for asked in (requested, in_v2(requested)):
        for known in (registered, in_v2(registered)):
            granted = scopes.grant(asked, known)
            assert meaning(granted) == meaning(scopes.grant(requested, registered))


@given(texts, texts)
def test_AB18_a_word_is_answered_in_v1_only_when_all_of_it_was_granted(asked, known):
    for word in scopes.grant(asked, known).split():
        if word.endswith((".read", ".write", ".*")):
            assert meaning(word) <= meaning(known)


@given(texts)
def test_AB18_all_types_never_bring_the_log_or_the_administration(registered):
    for asked in ("system/*.*", "system/*.cruds", "user/*.read"):
        for context in ("system", "user"):
            granted = meaning(scopes.grant(asked, registered, context))
            assert not [one for one in granted if one[1] in NAMED]


@given(st.sets(st.sampled_from(sorted(ROLES))))
def test_RS8_two_roles_mean_their_union_in_both_contexts(roles):
    wanted = set().union(*(meaning(ROLES[role]) for role in roles))
    assert meaning(scopes_of(frozenset(roles))) == wanted
    persons = {("user", kind, letter) for _, kind, letter in wanted}
    assert meaning(scopes_of(frozenset(roles), "user")) == persons
    assert meaning(scopes_of(frozenset(roles), "system", "user")) == wanted | persons
