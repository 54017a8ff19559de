"""The bench: virtual time, a world, a shift, and what judges them. Nobody imports it."""
