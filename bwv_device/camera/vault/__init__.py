"""The camera's storage: footage, ledger, recovery after a power loss."""
