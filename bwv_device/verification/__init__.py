"""What anybody can check with public keys: ledgers, footage, receipts, whole vaults."""
