"""Home Assistant's MQTT discovery: a rig shows up on a dashboard by itself.

Device-based discovery, <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>.
"""

from __future__ import annotations

import json
from typing import Any

from bwv_device import __version__
from bwv_device.formats.mqtt_messages import Topics
from hal.ports import MqttMessage


def announcement(topics: Topics, agency: str, device: str) -> MqttMessage:
    """The retained configuration of one camera with its sensors."""
    state = topics["state"]
    named = device.replace(".", "_")  # what an object id may hold

    def sensor(name: str, template: str, **more: Any) -> dict[str, Any]:
        about = {"platform": "sensor", "name": name, "state_topic": state}
        return {**about, "value_template": f"{{{{ {template} }}}}", **more}

    def yes_or_no(name: str, template: str, **more: Any) -> dict[str, Any]:
        return {
            **sensor(name, f"'ON' if {template} else 'OFF'", **more),
            "platform": "binary_sensor",
        }

    battery = "value_json.battery.percent if value_json.battery else None"
    minutes = "value_json.storage.minutes_left if value_json.storage else None"
    oldest = (
        "(value_json.undelivered.oldest_utc_ms / 1000) | timestamp_local"
        " if value_json.undelivered.oldest_utc_ms else None"
    )
    components = {
        "state": sensor("State", "value_json.state", icon="mdi:camera"),
        "recording": yes_or_no("Recording", "value_json.recording", device_class="running"),
        "not_stored": yes_or_no(
            "Recording, not stored",
            "value_json.recording and not value_json.stored",
            device_class="problem",
        ),
        "unable": yes_or_no("Cannot record", "not value_json.able", device_class="problem"),
        "battery": sensor("Battery", battery, device_class="battery", unit_of_measurement="%"),
        "storage": sensor("Recording time left", minutes, unit_of_measurement="min"),
        "undelivered": sensor("Files not delivered", "value_json.undelivered.files"),
        "oldest": sensor("Oldest not delivered", oldest, device_class="timestamp"),
    }
    for name, component in components.items():
        component["unique_id"] = f"bwv_{named}_{name}"
    config = {
        "device": {
            "identifiers": [f"bwv_{named}"],
            "name": f"Camera {device}",
            "manufacturer": "bwv-device",
            "model": agency,
            "sw_version": __version__,
        },
        "origin": {"name": "bwv-device", "sw_version": __version__},
        "availability_topic": topics["presence"],
        "availability_template": "{{ 'online' if value_json.online else 'offline' }}",
        "components": components,
        "qos": 1,
    }
    payload = json.dumps(config, sort_keys=True).encode()
    return MqttMessage(
        f"homeassistant/device/{device.replace('.', '_')}/config", payload, retain=True
    )
