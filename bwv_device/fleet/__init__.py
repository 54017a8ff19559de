"""The desk's side of MQTT: watching cameras, telling them something, configuring a broker."""
