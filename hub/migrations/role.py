"""The PostgreSQL role that the hub runs under: it can add to the audit log, no more.

The schema belongs to another role, which migrates. SQLite has no roles: there the
chain and the checkpoints alone tell.
"""

import re

from sqlalchemy import text

from hub.database import Database
from hub.migrations.tables import metadata

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# What the sealer changes: a row's number, once, and the head.
_AUDIT = {
    "audit_event": ("SELECT, INSERT", "UPDATE (seq)"),
    "audit_seal": ("SELECT, INSERT",),
    "audit_head": ("SELECT, INSERT, UPDATE",),
}


def statements(role: str) -> list[str]:
    """What gives an existing role its rights, in order; safe to run again.

    Raises ValueError for a name that would need quoting.
    """
    if not _NAME.fullmatch(role):
        raise ValueError(
            "役割の名前は英小文字・数字・_ で指定してください。"
            " / a role name has small letters, digits and _"
        )
    made = [
        f"GRANT USAGE ON SCHEMA public TO {role};",
        f"GRANT SELECT ON alembic_version TO {role};",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};",
    ]
    for name in sorted(metadata.tables):
        # First all is taken away: an earlier, wider grant would stay.
        made.append(f"REVOKE ALL ON {name} FROM {role}, PUBLIC;")
        rights = _AUDIT.get(name, ("SELECT, INSERT, UPDATE, DELETE",))
        made += [f"GRANT {right} ON {name} TO {role};" for right in rights]
    return made


def apply(database: Database, role: str) -> bool:
    """Give the role its rights, making it first where it is missing; True when made.

    For a connection of the schema's owner. A new role has no password: the operator
    sets one (`ALTER ROLE … PASSWORD`) or lets the server trust its way in.
    """
    wanted = statements(role)
    with database.engine.begin() as connection:
        known = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
        is_new = connection.execute(known, {"role": role}).first() is None
        if is_new:
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        for statement in wanted:
            connection.exec_driver_sql(statement)
    return is_new
