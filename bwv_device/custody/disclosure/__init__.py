"""Packages for a court or for a member of the public."""
