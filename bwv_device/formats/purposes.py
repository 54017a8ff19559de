"""The purpose of each signature: the first field of everything signed. No statement can be passed
off as one of another kind (docs/format.md, section 6).
"""

BOOT_KEY = "bwv boot key v1"
RECEIPT = "bwv receipt v1"
DOCKING, GREETING = "bwv docking v1", "bwv greeting v1"
REFUSAL, ASSIGNMENT = "bwv refusal v1", "bwv assignment v1"
HEAD_PURPOSE = "bwv head v1"
COMMAND_PURPOSE = "bwv command v1"
