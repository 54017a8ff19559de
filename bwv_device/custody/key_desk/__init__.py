"""The key desk: who may look at footage, and a line in custody's ledger before each look."""
