"""Monthly reports (連絡票): gather, print, and make into a FHIR document."""
