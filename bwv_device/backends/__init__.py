"""Opens the hal backends that a configuration asks for: board, loop, broker, evidence store."""
