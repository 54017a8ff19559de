"""Receives what cameras deliver: verifies it, reads it again, issues receipts."""
