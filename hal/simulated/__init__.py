"""Simulated hardware with two sides: the agent uses the ports, the world drives the other side.

Every state that was shown is kept with its time.
"""
