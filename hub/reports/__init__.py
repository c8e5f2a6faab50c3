"""Monthly reports (連絡票): gather, print, and make into a FHIR document."""

from hub.reports.collect import CaseFacts, gather
from hub.reports.document import document
from hub.reports.monthly import Centre, Contact, Hospital, Month, MonthlyReport, Row
from hub.reports.render import render_pdf, unprintable

__all__ = [
    "CaseFacts",
    "Centre",
    "Contact",
    "Hospital",
    "Month",
    "MonthlyReport",
    "Row",
    "document",
    "gather",
    "render_pdf",
    "unprintable",
]
