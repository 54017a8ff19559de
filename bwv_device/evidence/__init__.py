"""The evidence pipeline: pure objects from access units to sealed, signed, verifiable files."""
