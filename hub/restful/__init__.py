"""The FHIR RESTful API (R4 4.0.1, http.html): design in rest.md."""
