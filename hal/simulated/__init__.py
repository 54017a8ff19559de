"""Simulated hardware with two faces: the agent sees the ports, the world drives the back.

Every state ever shown is kept with its time.
"""
