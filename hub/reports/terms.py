"""How access to a case is said to people: Japanese first, English beside it.

Words of codes come from the code systems in `profiles/`; what has no code there is a
sentence here. Nothing here repeats what a client wrote.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hub.database import Session
from hub.directory.ask import StoredDirectory
from hub.disclosure.classes import DataClass
from hub.fhir.canonical import (
    DATA_CLASS,
    LEGAL_BASIS,
    ORGANIZATION_KIND,
    STATUS_REASON,
)
from hub.fhir.dates import JST
from hub.packages import Packages


@dataclass(frozen=True, slots=True)
class Said:
    """The same in Japanese and in English."""

    ja: str
    en: str


ROLES = {
    "source": Said("送り手", "sender"),
    "recipient": Said("受け手", "recipient"),
    "former": Said("前の受け手", "former recipient"),
}
_CLAUSES = {
    "feedback to the sender": Said("送り手への返信", "feedback to the sender"),
    "former recipient: own report to the sender": Said(
        "前の受け手から送り手への報告", "own report of a former recipient"
    ),
    "recall of what was sent in error": Said(
        "誤って送られたものの回収", "recall of what was sent in error"
    ),
    "the sender's own referral ended by withdrawal": Said(
        "撤回で終わったことの通知", "the sender's own referral ended by withdrawal"
    ),
}
_ITEM = re.compile(r"item ([0-9]{1,2})")
_TRANSFERRED = Said("移管", "transferred")


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of one installation's code systems and directory."""

    packages: Packages
    session: Session

    def organisation(self, code: str) -> str:
        """The name of an organisation; its code when the directory has none."""
        found = StoredDirectory(self.session).organisation(code)
        return found.name if found else code

    def basis(self, code: str) -> Said:
        return self._code(LEGAL_BASIS, code)

    def data_class(self, code: str) -> Said:
        return self._code(DATA_CLASS, code)

    def classes(self, classes: DataClass) -> Said:
        """All the classes of a grant, in order: `本人と家族・進捗`."""
        return self.joined(c.name.lower() for c in DataClass if c & classes and c.name)

    def joined(self, codes: Iterable[str]) -> Said:
        """Class codes as one text."""
        said = [self.data_class(code) for code in codes]
        return Said("・".join(s.ja for s in said), ", ".join(s.en for s in said))

    def reason(self, code: str) -> Said:
        """Why a grant was closed."""
        return (
            _TRANSFERRED if code == "transferred" else self._code(STATUS_REASON, code)
        )

    def clause(self, clause: str) -> Said:
        """Which clause of the consent covers a recipient."""
        if (item := _ITEM.fullmatch(clause)) is not None:
            return Said(f"説明事項{item[1]}", f"explained item {item[1]}")
        if clause in _CLAUSES:
            return _CLAUSES[clause]
        kind = self._code(ORGANIZATION_KIND, clause)
        return Said(f"様式の示す送り先（{kind.ja}）", f"the named class: {kind.en}")

    def _code(self, system: str, code: str) -> Said:
        found = self.packages.code_system(system) or {}
        for concept in found.get("concept", ()):
            if concept["code"] == code:
                english = (d["value"] for d in concept.get("designation", ()))
                return Said(concept.get("display", code), next(english, code))
        return Said(code, code)


def when(moment: datetime) -> Said:
    """`2026年4月1日9時05分`, in Japan's time."""
    local = moment.astimezone(JST)
    return Said(
        f"{local.year}年{local.month}月{local.day}日{local.hour}時{local.minute:02d}分",
        f"{local:%Y-%m-%d %H:%M} JST",
    )
