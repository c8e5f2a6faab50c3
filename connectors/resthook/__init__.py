"""rest-hook: notifications to the endpoints of Subscriptions (Backport 1.1)."""
