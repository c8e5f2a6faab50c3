"""Referrals: submit, accept, transfer, close, withdraw, recall (workflow.md)."""
