"""Everything outside the process: the ports that the agent may use, and their backends."""
