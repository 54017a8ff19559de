"""Two systems on one card, and which of them starts (docs/image.md, docs/decisions/0031)."""
