"""The hub of the REST tests, one a module and database."""

from tests.restful.conftest import centre, hub, module_url, source, stranger

__all__ = ["centre", "hub", "module_url", "source", "stranger"]
