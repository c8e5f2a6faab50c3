"""The fixtures of the REST tests: one running hub a module and database."""

from tests.restful.conftest import drafting, hub, module_url, source, stranger

__all__ = ["drafting", "hub", "module_url", "source", "stranger"]
