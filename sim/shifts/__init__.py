"""Shifts drawn from a seed, one or many, and their replay."""
