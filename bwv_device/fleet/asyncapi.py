"""Generates the AsyncAPI 3 document from the message classes."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from bwv_device.formats.mqtt_messages import (
    COMMANDS,
    VERSION,
    Command,
    Event,
    Health,
    Presence,
    Reply,
    State,
)

ADDRESS = f"bwv/{VERSION}/{{agency}}/{{device}}"
SAID: dict[str, tuple[type, str]] = {
    "presence": (Presence, "Birth, offline, and the will; retained."),
    "state": (State, "What is so now; retained."),
    "health": (Health, "How the camera is; retained."),
    "event": (Event, "What happened, in order."),
    "reply": (Reply, "The outcome of a command."),
}
SCHEMAS = "#/components/schemas/"


def document() -> dict[str, Any]:
    """Everything in one document; `docs/mqtt.md` says what it means."""
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for leaf, (kind, what) in SAID.items():
        messages[leaf] = _message(leaf, what, _schema(kind, schemas))
    messages["identity"] = {
        "name": "identity",
        "summary": "The device certificate and its issuer, PEM; retained.",
        "contentType": "application/x-pem-file",
        "payload": {"type": "string"},
    }
    for name, kind in COMMANDS.items():
        _schema(kind, schemas, f"{name} arguments")
    messages["command"] = {
        **_message("command", "A signed statement; its JSON.", _schema(Command, schemas)),
        "contentType": "text/plain",
        "description": "JSON TAB signature LF certificates: docs/mqtt.md, section 5. The schema is "
        "that of the JSON, which also holds purpose and by. Arguments: one of the schemas "
        "'… arguments'.",
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "bwv-device over MQTT",
            "version": "1.0.0",
            "description": "Telemetry and signed commands of body-worn cameras; QoS 1, MQTT 5.",
        },
        "defaultContentType": "application/json",
        "channels": {leaf: _channel(leaf) for leaf in messages},
        "operations": {
            f"{'hear' if leaf == 'command' else 'say'}-{leaf}": {
                "action": "receive" if leaf == "command" else "send",
                "channel": {"$ref": f"#/channels/{leaf}"},
            }
            for leaf in messages
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(leaf: str, what: str, schema: str) -> dict[str, Any]:
    return {
        "name": leaf,
        "summary": what,
        "headers": _attributes(leaf),
        "payload": {"$ref": f"{SCHEMAS}{schema}"},
    }


def _attributes(leaf: str) -> dict[str, Any]:
    """CloudEvents 1.0 attributes as MQTT user properties."""
    if leaf == "command":
        return {"type": "object"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string"},
            "source": {"type": "string"},
            "type": {"const": f"bwv.{leaf}.{VERSION}"},
        },
    }


def _channel(leaf: str) -> dict[str, Any]:
    return {
        "address": f"{ADDRESS}/{leaf}",
        "messages": {leaf: {"$ref": f"#/components/messages/{leaf}"}},
        "parameters": {
            "agency": {"description": "device.agency, percent-encoded"},
            "device": {"description": "common name of the device certificate"},
        },
    }


def _schema(kind: type, schemas: dict[str, Any], name: str = "") -> str:
    """Into `schemas`, with those it refers to; returns its name."""
    schema = TypeAdapter(kind).json_schema(ref_template=f"{SCHEMAS}{{model}}")
    schemas.update(schema.pop("$defs", {}))
    schemas[name or kind.__name__] = schema
    return name or kind.__name__
