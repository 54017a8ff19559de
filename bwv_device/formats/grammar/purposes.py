"""The purpose of each signature: the first field of everything signed. No statement can be passed
off as one of another kind (docs/format.md, section 6).
"""

BOOT_KEY = "bwv boot key v2"
RECEIPT = "bwv receipt v2"
DOCKING, GREETING = "bwv docking v2", "bwv greeting v3"
REFUSAL, ASSIGNMENT = "bwv refusal v2", "bwv assignment v2"
HEAD_PURPOSE = "bwv head v1"
COMMAND_PURPOSE = "bwv command v1"
TRUST_LIST = "bwv trust v1"
PACKAGE = "bwv package v1"
VIEW_REQUEST, VIEW_APPROVAL, GRANT = "bwv view request v1", "bwv view approval v1", "bwv grant v1"
ENROLMENT = "bwv enrolment request v1"
SIGN_IN = "bwv sign in v1"
RENDER_ORDER, RENDER_APPROVAL = "bwv render order v1", "bwv render approval v1"
RENDER_QUESTION = "bwv render question v1"
