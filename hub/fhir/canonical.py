"""The canonical URLs of the hub's own artefacts, all under one root.

A publisher who runs the hub under another name replaces `ROOT` here and in
`profiles/`, and nowhere else.
"""

ROOT = "https://tsunagi-hub.example/fhir"


def code_system(name: str) -> str:
    """The URL of one of the hub's code systems, for example `task-business-status`."""
    return f"{ROOT}/CodeSystem/{name}"


BUSINESS_STATUS = code_system("task-business-status")
STATUS_REASON = code_system("status-reason")
OUTCOME = code_system("outcome")
LEGAL_BASIS = code_system("legal-basis")
DATA_CLASS = code_system("data-class")
REFERRAL_REASON = code_system("referral-reason")
MUNICIPALITY_CODES = code_system("jisx0402")
ORGANIZATION_KIND = code_system("organization-kind")
TASK_INPUT = code_system("task-input")
TASK_CODE = code_system("task-code")
COPY_DISPOSITION = code_system("copy-disposition")
ISSUE_IDS = code_system("issue")

ORGANIZATION_ID = f"{ROOT}/sid/organization"
CASE_ID = f"{ROOT}/sid/case"
PATIENT_ID = f"{ROOT}/sid/patient"
MESSAGE_ID = f"{ROOT}/sid/message"
SUBMISSION_ID = f"{ROOT}/sid/submission"
RESOURCE_ID = f"{ROOT}/sid/resource"

MUNICIPALITY = f"{ROOT}/StructureDefinition/municipality"
WRITTEN_FORM = f"{ROOT}/StructureDefinition/written-form"
NEAREST_CENTRE = f"{ROOT}/StructureDefinition/nearest-centre"
EXPLANATIONS = f"{ROOT}/StructureDefinition/consent-explanation"
WORDING_VERSION = f"{ROOT}/StructureDefinition/consent-wording-version"

# National and international systems the hub reads and writes (handbook §5).
INSTITUTION_NO = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no"
NAME_REPRESENTATION = (
    "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
)
TASK_REPLACES = "http://hl7.org/fhir/StructureDefinition/task-replaces"
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
DISEASE_CODES = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/masterB-disease"
MARITAL_STATUS = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"


def plan_definition(programme: str) -> str:
    """`ServiceRequest.instantiatesCanonical` of a programme, by its id."""
    return f"{ROOT}/PlanDefinition/{programme}"


def questionnaire(form: str) -> str:
    """The canonical of a form's Questionnaire, by form id (`k1`)."""
    return f"{ROOT}/Questionnaire/{form}"
