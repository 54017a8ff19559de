"""What a signature is for: the first field of everything signed, so that no statement can be passed
off as another (docs/format.md, section 6). The one table of them."""

BOOT_KEY = "bwv boot key v1"
RECEIPT = "bwv receipt v1"
DOCKING, GREETING = "bwv docking v1", "bwv greeting v1"
REFUSAL, ASSIGNMENT = "bwv refusal v1", "bwv assignment v1"
HEAD_PURPOSE = "bwv head v1"
COMMAND_PURPOSE = "bwv command v1"
