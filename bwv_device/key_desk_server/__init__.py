"""The key desk over HTTP (docs/format.md, 10.4)."""
