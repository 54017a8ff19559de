"""Signed commands and assignments from the agency."""
