"""The connection to a broker (paho) and the outbox on disk (SQLite)."""
