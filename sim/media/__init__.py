"""What the simulated camera sees and hears."""
