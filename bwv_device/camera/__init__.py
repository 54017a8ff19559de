"""The camera: the agent and its parts. `agent` puts them together."""
