"""Judges commands and events: only the operator's, each at most once; events without gaps."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hal.ports import SECOND_NS
from sim.oracle.evidence import Finding, Record
from sim.world.world import World


def command_findings(record: Record) -> list[Finding]:
    return [*_commands(record), *_located(record), *_events(record.world)]


def _commands(record: Record) -> Iterator[Finding]:
    """Whatever stands as accepted was signed by the operator, and its counters grow."""
    newest = 0
    epoch_utc_ns = record.world.clock.epoch_utc_ns
    for said in record.of_kind("command"):
        text = said.fields["statement"]
        told = json.loads(text.partition("\t")[0])
        number = told["counter"]
        if text not in record.world.commands:
            yield Finding("commands", said.at_ns, f"number {number} was not sent by the operator")
        elif number <= newest:
            yield Finding("commands", said.at_ns, f"number {number} was accepted again")
        elif epoch_utc_ns + said.at_ns > told["expires_s"] * SECOND_NS:
            yield Finding("commands", said.at_ns, f"number {number} had expired")
        newest = max(newest, number)


def _located(record: Record) -> Iterator[Finding]:
    """The camera shows itself once for each accepted command, at most."""
    ordered = [
        said
        for said in record.of_kind("command")
        if '"command":"locate"' in said.fields["statement"]
    ]
    begun = 0
    before = ""
    for shown in record.witness.shown("status light"):
        if shown.pattern == "here I am" and before != "here I am":
            begun += 1
        before = shown.pattern
    if begun > len(ordered):
        text = f"it showed itself {begun} times for {len(ordered)} commands"
        yield Finding("commands", record.world.loop.now_ns(), text)


def _events(world: World) -> Iterator[Finding]:
    """Numbers of a boot count from 1, in order, without holes, but where the outbox says so."""
    pairs: dict[tuple[int, int], None] = {}
    dropped = 0
    for message in world.broker.messages:
        if message.topic.endswith("/event"):
            pairs[_pair(message.payload)] = None
        elif message.topic.endswith("/health"):
            dropped = max(dropped, json.loads(message.payload)["dropped"])
    if dropped:
        return
    # Whom a full broker sends away comes again behind those that it took.
    put_off = {_pair(m.payload) for m in world.broker.put_off if m.topic.endswith("/event")}
    firsts = [pair for pair in pairs if pair not in put_off]
    if firsts != sorted(firsts):
        yield Finding("events", world.loop.now_ns(), "events arrived out of order")
    for boot in {boot for boot, _ in firsts}:
        numbers = sorted(number for of, number in pairs if of == boot)
        if numbers != list(range(1, len(numbers) + 1)):
            text = f"of boot {boot} the events {numbers[:20]} arrived"
            yield Finding("events", world.loop.now_ns(), text)
            return


def _pair(payload: bytes) -> tuple[int, int]:
    said = json.loads(payload)
    return said["boot"], said["number"]
