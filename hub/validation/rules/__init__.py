"""R4 invariants as plain Python.

A rule is a predicate on the object that carries the invariant, true when it holds,
and a Japanese sentence; the English one is the specification's own. Predicates are
total: they run on objects whose structure may be wrong, and then say true, since
the structure has been reported. `not_evaluated` names what is not here.
"""

from hub.validation.rules import bundle, clinical, datatypes, definitional, people
from hub.validation.rules.rule import Rule

_TABLES = (datatypes, people, clinical, bundle, definitional)

# `Type.key`, since R4 uses keys such as inv-1 more than once.
RULES: dict[str, Rule] = {
    key: Rule(*row) for table in _TABLES for key, row in table.RULES.items()
}

# Checked inside the walk, which knows the surroundings.
IN_WALK = frozenset(
    {
        "DomainResource.dom-2",
        "DomainResource.dom-3",
        "DomainResource.dom-4",
        "DomainResource.dom-5",
        "Reference.ref-1",
        "Narrative.txt-1",
        "Narrative.txt-2",
    }
)
