"""What leaves the hub: the guarded client and the connector protocol."""
