"""Keep a hub running: prepare its database, put its parts together."""
