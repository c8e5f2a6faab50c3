"""The directory: organisations, desks, endpoints, jurisdictions, agreements (mCSD)."""
