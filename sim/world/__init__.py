"""The simulated world: virtual time, a camera, an officer, an agency, what they do."""
