"""Many simulated cameras at a real broker, in real time or faster."""
