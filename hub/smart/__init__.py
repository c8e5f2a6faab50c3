"""The OAuth 2 authorization server (SMART Backend Services 2.2) on authlib.

Clients are bound to one Organization; a token becomes an Actor in `actors`.
"""
