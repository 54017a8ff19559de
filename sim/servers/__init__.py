"""Real servers on loopback for tests: an S3 store and an MQTT broker."""
