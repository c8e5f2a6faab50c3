"""The API described: an OpenAPI 3.1 document made from the tables that serve it."""
