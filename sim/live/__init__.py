"""A simulated camera to play with in the terminal."""
