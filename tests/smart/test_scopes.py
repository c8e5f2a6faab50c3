"""SMART scopes: tables and properties (security.md §2.2; checks T15, T16)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.actor import Actor, Scope
from hub.smart import scopes
from hub.smart.roles import ROLES, scopes_of, scopes_supported

TYPES = ["Task", "Patient", "AuditEvent", "*"]
words = st.builds(
    lambda context, type_, rights: f"{context}/{type_}.{rights}",
    st.sampled_from(["system", "user"]),
    st.sampled_from(TYPES),
    st.sampled_from(["read", "write", "*", "cruds", "rs", "r", "us", "dus", "cd", ""]),
)
texts = st.lists(words, max_size=6).map(" ".join)


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("system/Task.read", "rs"),
        ("system/Task.write", "cud"),
        ("system/Task.*", "cruds"),
        ("system/Task.cruds", "cruds"),
        ("system/*.s", "s"),
        ("user/Patient.r", "r"),
    ],
)
def test_a_word_is_read(word, letters):
    (found,) = scopes.parse(word)
    assert found.letters == frozenset(letters)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "system/Task",
        "system/Task.",
        "system/Task.dus",
        "system/Task.rr",
        "system/Task.sr",
        "system/task.rs",
        "system/Task.rs?a=b",
        "system/Task.rs?",
        "System/Task.rs",
        "patient/Task.rs",
        "launch",
        "openid",
        "system/Task.Read",
        "system/Task.rs,",
        "system/%2A.rs",
        "system//.rs",
        "system/**.rs",
        "system/Task.rs\n",
    ],
)
def test_T15_what_is_not_understood_is_dropped(word):
    assert scopes.parse(word) == frozenset()


@pytest.mark.parametrize(
    ("requested", "registered", "granted"),
    [
        ("system/Task.cruds", "system/Task.rs", "system/Task.rs"),
        ("system/Task.read", "system/Task.crus", "system/Task.read"),
        ("system/Task.read", "system/Task.r", "system/Task.r"),
        ("system/Task.*", "system/Task.crus", "system/Task.crus"),
        ("system/Task.rs", "system/*.r", "system/Task.r"),
        ("system/*.read", "system/Task.rs system/Patient.r",
         "system/Patient.r system/Task.read"),
        ("system/*.rs", "system/*.rs", "system/*.rs"),
        ("system/*.rs", "system/AuditEvent.rs", ""),
        ("system/AuditEvent.rs", "system/*.cruds", ""),
        ("system/AuditEvent.rs", "system/AuditEvent.r", "system/AuditEvent.r"),
        ("user/Task.rs", "system/Task.rs", ""),
        ("system/Task.r system/Task.r", "system/Task.r", "system/Task.r"),
    ],
)  # fmt: skip
def test_T15_the_grant_is_the_intersection_in_the_notation_asked(
    requested, registered, granted
):
    assert scopes.grant(requested, registered) == granted


def actor(text):
    system = {s for s in scopes.parse(text) if s.context == "system"}
    return Actor("client", "org", frozenset(system))


@given(texts, texts)
def test_T16_a_grant_is_exactly_what_was_asked_and_registered(requested, registered):
    granted = actor(scopes.grant(requested, registered))
    asked, allowed = actor(requested), actor(registered)
    for letter in scopes.LETTERS:
        for type_ in ("Task", "Patient", "AuditEvent", "Observation"):
            both = asked.may(letter, type_) and allowed.may(letter, type_)
            assert granted.may(letter, type_) == both


@given(texts, texts)
def test_granting_again_changes_nothing(requested, registered):
    once = scopes.grant(requested, registered)
    twice = scopes.grant(once, registered)
    for letter in scopes.LETTERS:
        for type_ in ("Task", "Patient", "AuditEvent"):
            assert actor(twice).may(letter, type_) == actor(once).may(letter, type_)


@given(texts, texts, texts)
def test_more_asked_never_means_less_granted(first, more, registered):
    less = actor(scopes.grant(first, registered))
    most = actor(scopes.grant(f"{first} {more}", registered))
    for letter in scopes.LETTERS:
        for type_ in ("Task", "AuditEvent"):
            assert most.may(letter, type_) or not less.may(letter, type_)


@given(st.text(max_size=60))
def test_any_text_is_read_without_error(text):
    for scope in scopes.parse(text):
        assert scope.letters <= set(scopes.LETTERS)
    assert scopes.grant(text, "system/Task.r") in ("", "system/Task.r")


@given(st.sets(st.sampled_from(scopes.LETTERS), min_size=1))
def test_what_is_rendered_is_read_back(letters):
    scope = Scope("system", "Task", frozenset(letters))
    assert scopes.parse(scopes.render(scope)) == {scope}


@pytest.mark.parametrize("text", ["a\tb", "a\nb", 'a"b', "a\\b", "é", "a\x7fb"])
def test_characters_outside_the_grammar_are_seen(text):
    assert not scopes.is_well_formed(text)


def test_the_presets_are_those_of_the_table():
    source = actor(ROLES["source"])
    assert source.may("c", "ServiceRequest")
    assert source.may("d", "ServiceRequest")
    assert not source.may("d", "Task")
    assert not source.may("u", "QuestionnaireResponse")
    assert not source.may("r", "AuditEvent")
    recipient = actor(ROLES["recipient"])
    assert not recipient.may("c", "Task")
    assert not recipient.may("c", "ServiceRequest")
    assert recipient.may("c", "MeasureReport")
    assert not actor(ROLES["directory"]).may("c", "Organization")
    assert scopes.parse(ROLES["privacy"]) == scopes.parse("system/AuditEvent.rs")


DIRECTORY = (
    "Organization OrganizationAffiliation HealthcareService PractitionerRole"
    " Location Endpoint"
)
# security.md §2.2, type by type.
PRESETS = {
    "source": {
        "cruds": "ServiceRequest Subscription",
        "crus": "Patient RelatedPerson Task Consent",
        "crs": "QuestionnaireResponse DocumentReference Communication",
        "rs": f"EpisodeOfCare Composition Provenance Questionnaire {DIRECTORY}",
    },
    "recipient": {
        "rus": "Task",
        "crus": "QuestionnaireResponse Consent Encounter Condition Observation"
        " RiskAssessment CarePlan CareTeam Communication",
        "crs": "DocumentReference Composition MeasureReport",
        "rs": "ServiceRequest Patient RelatedPerson EpisodeOfCare Provenance"
        f" Questionnaire {DIRECTORY}",
        "cruds": "Subscription",
    },
    "directory": {"rs": DIRECTORY},
    "privacy": {"rs": "AuditEvent"},
    "admin": {"crus": "SmartClient SmartPerson"},
}


@pytest.mark.parametrize("role", PRESETS)
def test_a_preset_is_the_whole_table_and_no_more(role):
    words = {
        f"system/{name}.{letters}"
        for letters, names in PRESETS[role].items()
        for name in names.split()
    }
    assert set(ROLES[role].split()) == words


@pytest.mark.parametrize("role", ROLES)
def test_every_preset_word_is_understood(role):
    assert len(scopes.parse(ROLES[role])) == len(ROLES[role].split())


def test_D9_every_supported_scope_can_be_granted():
    everything = scopes_of(frozenset(ROLES))
    for word in scopes_supported():
        assert scopes.grant(word, everything) == word
