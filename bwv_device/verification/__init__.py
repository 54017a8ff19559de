"""What anybody with public keys can judge: ledgers, footage, receipts, whole vaults."""
