"""Lights, beeper and vibration motor: what they say, and when."""
