"""Consent: read what was agreed, decide, open and close grants (IHE PCF values)."""
