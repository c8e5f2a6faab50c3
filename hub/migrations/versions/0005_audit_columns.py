"""Search columns of the audit log: client, entity, type, subtype, outcome

Revision ID: 0005
Revises: 0002
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ("client", "entity", "type", "subtype", "outcome")
_AT_ONCE = 5_000


def upgrade() -> None:
    with op.batch_alter_table("audit_event") as table:
        for name in _COLUMNS:
            table.add_column(sa.Column(name, sa.Text(), nullable=True))
    _fill(op.get_bind())
    op.drop_index("audit_event_recorded", "audit_event")
    op.create_index(
        "audit_event_recorded",
        "audit_event",
        ["recorded", "id", "action", "outcome", "type", "subtype"],
        unique=False,
    )
    for name in ("client", "entity"):
        op.create_index(
            f"audit_event_{name}", "audit_event", [name, "recorded"], unique=False
        )


def downgrade() -> None:
    for name in ("client", "entity", "recorded"):
        op.drop_index(f"audit_event_{name}", "audit_event")
    with op.batch_alter_table("audit_event") as table:
        for name in _COLUMNS:
            table.drop_column(name)
    op.create_index("audit_event_recorded", "audit_event", ["recorded"], unique=False)


def _fill(connection: sa.Connection) -> None:
    """Give the rows that are there what their sealed bodies say, page by page."""
    event = sa.table(
        "audit_event",
        sa.column("id", sa.Text()),
        sa.column("body", sa.LargeBinary()),
        *(sa.column(name, sa.Text()) for name in _COLUMNS),
    )
    change = (
        sa.update(event)
        .where(event.c.id == sa.bindparam("of"))
        .values({name: sa.bindparam(f"new_{name}") for name in _COLUMNS})
    )
    after = ""
    while True:
        page = connection.execute(
            sa.select(event.c.id, event.c.body)
            .where(event.c.id > after)
            .order_by(event.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not page:
            return
        connection.execute(change, [_said(row.id, row.body) for row in page])
        after = page[-1].id


def _said(id_: str, body: bytes) -> dict[str, str | None]:
    """As hub.audit.columns said when this was written; null for an altered body."""
    row: dict[str, str | None] = {f"new_{name}": None for name in _COLUMNS}
    row["of"] = id_
    try:
        event = json.loads(bytes(body))
        row["new_client"] = _client(event)
        row["new_entity"] = _entity(event)
        row["new_type"] = event["type"]["code"]
        row["new_subtype"] = event["subtype"][0]["code"]
        row["new_outcome"] = event["outcome"]
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # `verify` names this row, as it did before
    return row


def _client(event: dict) -> str | None:
    for agent in event["agent"]:
        identifier = agent["who"].get("identifier", {})
        if identifier.get("system", "").endswith("/sid/client"):
            return identifier["value"]
    return None


def _entity(event: dict) -> str | None:
    for entity in event.get("entity", []):
        reference = entity.get("what", {}).get("reference")
        if reference and entity.get("role", {}).get("code") != "1":
            return reference.partition("/_history/")[0]
    return None
