"""Who may write which line of the custody ledger."""

from __future__ import annotations

from bwv_device.formats.certificates import KEY_DESK

CUSTODIAN, REVIEWER, DISCLOSURE = "custodian", "reviewer", "disclosure"
INTAKE, RETENTION, CONFIGURATION, AUDITOR = "intake", "retention", "configuration", "auditor"

MAY_WRITE: dict[str, tuple[str, ...]] = {
    "docking": (INTAKE,),
    "intake": (INTAKE,),
    "quarantine": (INTAKE,),
    "quarantine-owner": (CUSTODIAN,),
    "quarantine-again": (CUSTODIAN,),
    "discard-proposed": (CUSTODIAN, REVIEWER),
    "discard-approved": (CUSTODIAN, REVIEWER),
    "discarded": (RETENTION,),
    "moved": (INTAKE,),
    "hold": (CUSTODIAN, REVIEWER, DISCLOSURE, INTAKE),
    "release-proposed": (CUSTODIAN, REVIEWER),
    "release-approved": (CUSTODIAN, REVIEWER),
    "category": (CUSTODIAN, REVIEWER),
    "review": (CUSTODIAN, REVIEWER),
    "issue": (CUSTODIAN,),
    "return": (CUSTODIAN,),
    "revoke": (CUSTODIAN,),
    "fork-settled": (CUSTODIAN,),
    "hiding": (RETENTION,),
    "hidden": (RETENTION,),
    "restored": (RETENTION,),
    "erased": (RETENTION,),
    "erasing": (RETENTION,),
    "request": (CUSTODIAN, DISCLOSURE),
    "request-step": (CUSTODIAN, DISCLOSURE),
    "request-closed": (CUSTODIAN, DISCLOSURE),
    "search": (CUSTODIAN, DISCLOSURE, AUDITOR),
    "completeness": (CUSTODIAN, RETENTION, AUDITOR),
    "disclosed": (DISCLOSURE,),
    "viewed": (KEY_DESK, CUSTODIAN, REVIEWER, DISCLOSURE, AUDITOR),
    "exported": (CUSTODIAN, REVIEWER, DISCLOSURE, AUDITOR),
    "case-member": (CUSTODIAN,),
    "audit-read": (CUSTODIAN, REVIEWER, DISCLOSURE, AUDITOR),
    "desk-code": (CUSTODIAN,),
    "words-erasing": (RETENTION,),
    "words-erased": (RETENTION,),
    "reminder": (RETENTION,),
    "rules-proposed": (CUSTODIAN,),
    "rules-approved": (CUSTODIAN,),
    "software": (CUSTODIAN,),
    "trust": (CUSTODIAN,),
    "trust-proposed": (CUSTODIAN,),
    "trust-approved": (CUSTODIAN,),
}
