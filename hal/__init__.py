"""What exists outside the process: the ports the agent may touch, and their backends."""
