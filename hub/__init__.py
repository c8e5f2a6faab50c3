"""つなぎハブ (Tsunagi Hub): a FHIR R4 hub for referrals after a suicide attempt."""
