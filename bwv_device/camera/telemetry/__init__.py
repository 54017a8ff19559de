"""What the camera reports over MQTT."""
