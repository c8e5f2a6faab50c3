"""Sheets (CSV and Excel) to answers of a form, and back.

What a column means is data: a layout of `profiles/mappings/` with the Questionnaire
it belongs to. Conventions: handbook §7 and the conventions of the sample sheets.
"""
