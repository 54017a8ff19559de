"""Systematic campaigns: a power cut or a flipped bit at every place."""
