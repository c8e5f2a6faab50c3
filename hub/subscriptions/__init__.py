"""Subscriptions R5 Backport 1.1 on R4: topics, matching, numbering, notifications."""
