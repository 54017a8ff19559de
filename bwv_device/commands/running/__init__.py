"""Beside `bwv run`: what it shows, what it counts, what it does without storage."""
