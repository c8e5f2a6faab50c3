"""The settings, and whether the README tells of each."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from hub.settings import Settings

README = Path(__file__).resolve().parent.parent / "README.md"
ROW = re.compile(r"^\| `TSUNAGI_([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
# Defaults that depend on another setting, or on where the hub is installed.
TOLD_IN_WORDS = {
    "SIGNING_KEY", "AUDIT_KEY", "CONTENT_KEYS", "CHECKPOINTS", "DRAFTS", "PROFILES",
    "TOKEN_RATE_PER_SECOND",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TSUNAGI_{name.upper()}", raising=False)


def rows() -> dict[str, str]:
    section = README.read_text("utf-8").partition("\n## Settings\n")[2]
    found = ROW.findall(section.partition("\n## ")[0])
    assert len(found) == len({name for name, _, _ in found})
    return {name: default.strip() for name, default, _ in found}


def told(field: FieldInfo) -> str:
    """The default as the README writes it."""
    if field.default is None or field.default == "":
        return "–"
    default = str(field.default)
    return f"`{default.lower() if isinstance(field.default, bool) else default}`"


def test_the_readme_tells_of_every_setting_and_of_no_other():
    assert rows().keys() == {name.upper() for name in Settings.model_fields}


def test_the_readme_tells_the_defaults():
    fields = Settings.model_fields.items()
    expected = {name.upper(): told(field) for name, field in fields}
    wrong = {
        name: (default, expected[name])
        for name, default in rows().items()
        if name not in TOLD_IN_WORDS and default != expected[name]
    }
    assert wrong == {}


def test_a_setting_is_read_from_the_environment_and_then_stands(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("TSUNAGI_BASE_URL", "https://hub.example.jp/")
    monkeypatch.setenv("TSUNAGI_DRAFTS", "on")
    made = Settings()
    assert made.fhir_base == "https://hub.example.jp/fhir/R4"
    assert made.token_url == "https://hub.example.jp/oauth/token"
    assert made.keeps_drafts
    with pytest.raises(ValidationError):
        made.dev = True  # type: ignore[misc]


def test_drafts_are_kept_only_with_dev_unless_switched():
    base = "https://hub.example.jp"
    assert Settings(dev=True).keeps_drafts
    assert not Settings(base_url=base).keeps_drafts
    assert not Settings(dev=True, drafts=False).keeps_drafts
