"""A witness of custody's log: a small program for an ombudsman, or whoever is not the agency."""
