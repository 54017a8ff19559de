"""The simulator: virtual time, a world, shifts, and an oracle that judges them."""
