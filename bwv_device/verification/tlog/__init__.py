"""Transparency logs as C2SP writes them: Merkle trees, signed notes, checkpoints, tiles."""
