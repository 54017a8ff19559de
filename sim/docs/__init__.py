"""Generators of diagrams and pages in docs/."""
