"""Delivery to the evidence store while the camera is docked."""
