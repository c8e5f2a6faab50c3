"""The demonstration: stand-in systems around the hub, and a client that plays them."""
