"""The evidence store's side: intake and receipts, holds, retention, requests, disclosure, audit."""
