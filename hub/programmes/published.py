"""A programme as everybody may read it: the PlanDefinition that referrals name."""

import re

from hub.fhir.canonical import questionnaire
from hub.fhir.json import Resource
from hub.packages import Packages
from hub.programmes.programme import Programme


def plan_definition(programme: Programme, packages: Packages) -> Resource:
    """The PlanDefinition of `ServiceRequest.instantiatesCanonical`, and its forms.

    Its id is the last step of its url. It has no title: that of a programme may tell
    what a referral is about.
    """
    urls = [questionnaire(form) for form in programme.forms.all]
    made: Resource = {
        "resourceType": "PlanDefinition",
        "id": programme.plan_definition.rpartition("/")[2],
        "url": programme.plan_definition,
        "version": programme.version,
        "name": re.sub(r"\W", "_", programme.id).capitalize(),
        "status": "active",
        "effectivePeriod": {"start": programme.valid_from.isoformat()},
    }
    if programme.valid_to is not None:
        made["effectivePeriod"]["end"] = programme.valid_to.isoformat()
    held = [{"definitionCanonical": url} for url in urls if packages.questionnaire(url)]
    return {**made, "action": held} if held else made
