"""FHIR R4 (4.0.1) vocabulary. Pure: no database, web framework, client or settings."""
