"""Forms (SDC): answers to a QuestionnaireResponse, checks, extraction, submission.

What an item means beyond its text is data on the Questionnaire (`form.py`), so a form
of a new programme needs no code.
"""
