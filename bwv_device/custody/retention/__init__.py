"""How long recordings stay: holds and deletion."""
