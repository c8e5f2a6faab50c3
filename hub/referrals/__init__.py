<<<<<<< HEAD
"""Referrals: submit, accept, transfer, close, withdraw, recall (workflow.md)."""
=======
"""A referral's life: facts, route, submit, moves, transfer, withdrawal."""
>>>>>>> part/routing
