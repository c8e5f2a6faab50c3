"""Content sealed at rest: what carries base64 data is encrypted before it is stored.

Binary and DocumentReference always, any other body that holds an attachment's data.
The keys lie in a file outside the database (keys.py).
"""

from hub.sealing.body import carries_content, keep, opened, sealed

__all__ = ["carries_content", "keep", "opened", "sealed"]
