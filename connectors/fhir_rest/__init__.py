"""Delivery to another FHIR server over its RESTful API, with SMART tokens."""

from connectors.fhir_rest.send import FhirRest

__all__ = ["FhirRest"]
