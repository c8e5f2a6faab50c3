"""A new key for the checkpoints: the old one names it, then is destroyed.

The handover stands in the file of checkpoints, signed by the old key. Whoever trusted
that one trusts the next without being told; what the old key signs later is refused.
"""

import hashlib
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.audit.checkpoint import hand_over, load_key, load_public_key, public_pem


def rotate(path: Path, checkpoints: Path, at: datetime) -> str:
    """Replace the key in `path`; the fingerprint of the new one.

    The hub must not run, and there must be a checkpoint (LookupError). The former
    public key stays beside as `<name>.<fingerprint>.pub`. Safe to run again after a
    crash: the key that was being made is taken up.
    """
    old, fresh = load_key(path), path.with_name(f"{path.name}.next")
    new = load_key(fresh, create=True)
    hand_over(checkpoints, old, new.public_key(), at)
    former = path.with_name(f"{path.name}.{fingerprint(old.public_key())}.pub")
    former.write_bytes(public_pem(old.public_key()))
    path.with_name(f"{path.name}.pub").write_bytes(public_pem(new.public_key()))
    fresh.replace(path)
    path.with_name(f"{path.name}.next.pub").unlink(missing_ok=True)
    return fingerprint(new.public_key())


def trusted(path: Path) -> list[Ed25519PublicKey]:
    """The public keys beside a private key: the present one and its predecessors."""
    beside = sorted(path.parent.glob(f"{path.name}*.pub"))
    found = [one for one in beside if not one.name.startswith(f"{path.name}.next")]
    return [load_public_key(one) for one in found or [path]]


def fingerprint(key: Ed25519PublicKey) -> str:
    """16 hexadecimal digits of the SHA-256 of the raw key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]
