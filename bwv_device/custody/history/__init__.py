"""What others have seen of the ledger: its Merkle log, checkpoints, witnesses."""
