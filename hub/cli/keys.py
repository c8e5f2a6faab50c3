"""tsunagi keys: make the hub's own keys where they are missing."""

from hub.cli.opening import local_settings
from hub.cli.said import out


def make() -> None:
    """ハブの鍵のうち、ないものを作る / Make the hub's keys that are missing.

    署名鍵（TSUNAGI_SIGNING_KEY）と監査の鍵（TSUNAGI_AUDIT_KEY）を、設定された場所に作ります。
    すでにある鍵は変えません。 / An existing key is kept as it is.
    """
    from hub.audit.checkpoint import load_key
    from hub.running.parts import audit_key_path
    from hub.smart.signing import FILE_NAME, signing_keys

    settings = local_settings().model_copy(update={"dev": True})
    signing = settings.signing_key or settings.state / FILE_NAME
    audit = audit_key_path(settings)
    was_there = {path: path.exists() for path in (signing, audit)}
    signing_keys(settings)
    load_key(audit, create=True)
    for path, kept in was_there.items():
        said = "そのまま / kept" if kept else "作成 / made"
        out.print(f"{path}  {said}", markup=False)
