"""Custody's own ledger, and the index that is built from it."""
