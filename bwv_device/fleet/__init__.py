"""The operator's side of MQTT: watching cameras, sending commands, configuring a broker."""
