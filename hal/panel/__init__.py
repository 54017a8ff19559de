"""Lights, beeper, vibration motor and buttons on gpiozero devices."""
