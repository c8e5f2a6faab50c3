"""AuditEvents (IHE BALP) in the transaction of the act; sealed, anchored, verified.

`record` and `refuse` write, `find` and `read` look up; seal.py chains, checkpoint.py
anchors the chain outside the database, verify.py tells whether anybody touched it.
"""

from hub.audit.search import ALL, Criteria, Entry, OwnRows, count, find, read
from hub.audit.write import observe, record, refuse

__all__ = [
    "ALL",
    "Criteria",
    "Entry",
    "OwnRows",
    "count",
    "find",
    "observe",
    "read",
    "record",
    "refuse",
]
