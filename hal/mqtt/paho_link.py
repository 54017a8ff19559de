"""MQTT over TLS with paho. One thread drives every link; it ends here.

paho is used without its own threads: they die of one exception in a callback while the client goes
on claiming to be connected, and `select` ends at 1024 sockets. Each connection has a client of its
own, so that nothing of an older one lives on in it. All calls into paho happen in this thread;
links only put orders into its queue.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from hal.ports import HardwareError, MqttListener, MqttMessage

# What a broker may send: more than any command, less than what hurts.
PACKET_LIMIT = 32_768
# Orders that wait for the thread; the agent has a few messages under way at most.
ORDER_LIMIT = 4096
# Messages either way that are under way at most.
QUEUE_LIMIT = 256
HANDSHAKE_S = 10.0
# How long a goodbye may take, and how long the broker may take to hang up after it.
LINGER_S = 1.0
CHECK_S = 1.0
# MQTT 5, 3.4.2.1: what may go better later. All else is final.
TRANSIENT = {0x80, 0x83, 0x91, 0x97}


class Broker(NamedTuple):
    """Where it is, and what a client says of itself. Without `acknowledges` what comes is kept by
    the broker for whoever connects next."""

    host: str
    port: int
    client_id: str
    keepalive_s: int = 60
    session_expiry_s: int = 3600
    acknowledges: bool = True


def tls_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Both sides show a certificate. Raises `HardwareError` with the file that can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525: the alternative names alone say who it is. A camera's common name could be a host's.
    context.hostname_checks_common_name = False
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise HardwareError(
            f"{ca} has no certificate to check the broker with: {error}.", "Set mqtt.ca."
        ) from None
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise HardwareError(
            f"{certificate} and {key} can't be used together: {error}.",
            "Give a certificate and its own key.",
        ) from None
    return context


class OversizedPacketError(ValueError):
    """A broker that announces more than any command has."""


class _Client(paho.Client):
    """paho without its limit of 256 MiB for what a broker may make us hold."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > PACKET_LIMIT:
            raise OversizedPacketError(f"the broker sends {bufsize} bytes at once")
        return super()._sock_recv(bufsize)

    def _handle_publish(self) -> MQTTErrorCode:
        """QoS 2 was never asked for, and paho would keep its messages until they are released."""
        if self._in_packet["command"] & 0x06 == 0x04:
            raise OversizedPacketError("the broker sends QoS 2, which was not subscribed to")
        return super()._handle_publish()


class MqttThread:
    """Drives links until `close`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._orders: deque[Callable[[], None]] = deque()
        self._connections: set[_Connection] = set()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """Of the thread, for those who measure it."""
        return self._thread.ident

    def order(self, what: Callable[[], None], *, always: bool = False) -> bool:
        """From any thread. False at the limit."""
        if len(self._orders) >= ORDER_LIMIT and not always:
            return False
        self._orders.append(what)
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        return True

    def close(self, patience_s: float = 2.0) -> None:
        """What was ordered before is carried out first."""
        self._ends = True
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        self._thread.join(patience_s)

    def _run(self) -> None:
        checked_s = time.monotonic()
        while not self._ends or self._orders:
            for key, events in self._selector.select(CHECK_S):
                if key.data is None:
                    self._drain()
                else:
                    self._safely(lambda key=key, events=events: key.data.serve(events))  # type: ignore[misc]
            while self._orders:
                self._safely(self._orders.popleft())
            if time.monotonic() - checked_s >= CHECK_S:
                checked_s = time.monotonic()
                for connection in list(self._connections):
                    self._safely(connection.check)
        for connection in list(self._connections):
            connection.end()

    def _safely(self, work: Callable[[], None]) -> None:
        """Connections end by their own errors; this is for a listener that raises when it is told.
        It must not take the others' thread away, and must be seen."""
        try:
            work()
        except Exception:
            traceback.print_exc()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while self._woken.recv(4096):
                pass

    # --- for connections, in this thread ------------------------------------------------------

    def watch(self, connection: _Connection, sock: Any, *, writing: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        if connection in self._connections:
            self._selector.modify(sock, events, connection)
        else:
            self._connections.add(connection)
            self._selector.register(sock, events, connection)

    def forget(self, connection: _Connection, sock: Any) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(sock)


class PahoLink:
    """`hal.ports.MqttLink` over one `MqttThread`."""

    def __init__(self, thread: MqttThread, broker: Broker, tls: ssl.SSLContext | None) -> None:
        self._thread, self._broker, self._tls = thread, broker, tls
        self._connection: _Connection | None = None

    def open(
        self, will: MqttMessage | None, subscriptions: Sequence[str], listener: MqttListener
    ) -> None:
        self.close()
        connection = _Connection(self._thread, self._broker, self._tls, listener)
        self._connection = connection
        if not self._thread.order(lambda: connection.begin(will, tuple(subscriptions))):
            listener.closed("too much waits for the network's thread")

    def publish(self, token: int, message: MqttMessage) -> None:
        if connection := self._connection:
            self._thread.order(lambda: connection.publish(token, message))

    def close(self, farewell: MqttMessage | None = None) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.listener = None
            self._thread.order(lambda: connection.end(farewell), always=True)


class _Connection:
    """One client for one connection, in the thread of the network alone. Whatever is raised in
    here ends this connection, and is told."""

    def __init__(
        self,
        thread: MqttThread,
        broker: Broker,
        tls: ssl.SSLContext | None,
        listener: MqttListener,
    ) -> None:
        self._thread, self._broker, self._tls = thread, broker, tls
        self.listener: MqttListener | None = listener
        self._client: _Client | None = None
        self._socket: Any = None
        self._tokens: dict[int, int] = {}
        self._subscriptions: tuple[str, ...] = ()
        self._has_will = self._welcomed = False

    def begin(self, will: MqttMessage | None, subscriptions: tuple[str, ...]) -> None:
        if self.listener is None:
            return
        self._subscriptions, self._has_will = subscriptions, will is not None
        broker = self._broker
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = HANDSHAKE_S
        client.max_queued_messages_set(QUEUE_LIMIT)
        client.manual_ack_set(not broker.acknowledges)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if will is not None:
            client.will_set(will.topic, will.payload, 1, will.retain)
        # Nothing here may raise, and nothing may publish: paho holds locks.
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_socket_register_write = lambda *_: self._want_write(True)
        client.on_socket_unregister_write = lambda *_: self._want_write(False)
        self._client = client
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = broker.session_expiry_s
        properties.MaximumPacketSize = PACKET_LIMIT
        properties.ReceiveMaximum = QUEUE_LIMIT

        def connect() -> None:
            client.connect(
                broker.host, broker.port, broker.keepalive_s, clean_start=False,
                properties=properties,
            )  # fmt: skip
            self._socket = client.socket()
            self._thread.watch(self, self._socket, writing=client.want_write())

        self._guarded(connect)

    def publish(self, token: int, message: MqttMessage) -> None:
        client = self._client
        if client is None:
            return

        def send() -> None:
            info = client.publish(
                message.topic, message.payload, 1, message.retain, _properties(message)
            )
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lost(f"publish: {paho.error_string(info.rc)}")
            else:
                self._tokens[info.mid] = token

        self._guarded(send)

    def end(self, farewell: MqttMessage | None = None) -> None:
        """In order behind a farewell, or where there is no will; else as if the line had been cut:
        the broker says the will."""
        self.listener = None
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if client.is_connected() and (farewell is not None or not self._has_will):
                with _lingering(self._socket):
                    if farewell is not None:
                        client.publish(farewell.topic, farewell.payload, 1, farewell.retain)
                    client.disconnect()
                    until_s = time.monotonic() + LINGER_S
                    while client.want_write() and time.monotonic() < until_s:
                        client.loop_write()
        self._thread.forget(self, self._socket)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

    def serve(self, events: int) -> None:
        client = self._client
        if client is None:
            return

        def work() -> None:
            if events & selectors.EVENT_READ:
                # TLS may hold more than the socket shows.
                while client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    held = getattr(self._socket, "pending", lambda: 0)
                    if self._client is None or not held():
                        break
            if events & selectors.EVENT_WRITE and self._client is not None:
                client.loop_write()

        self._guarded(work)

    def check(self) -> None:
        client = self._client
        if client is not None:
            self._guarded(client.loop_misc)

    # --- inside -------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self._lost(_reason(error))

    def _lost(self, reason: str) -> None:
        listener, self.listener = self.listener, None
        self.end()
        if listener is not None:
            listener.closed(reason)

    def _want_write(self, on: bool) -> None:
        if self._client is not None and self._socket is not None:
            self._thread.watch(self, self._socket, writing=on)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            # After this callback paho itself ends the connection.
            self._thread.order(lambda: self._lost(f"refused: {reason}"), always=True)
            return
        if self._welcomed:
            return  # a broker that says so twice
        self._welcomed = True
        if self._subscriptions:
            wanted = [(topic, SubscribeOptions(1)) for topic in self._subscriptions]
            self._thread.order(lambda: self._guarded(lambda: client.subscribe(wanted)))
        if self.listener is not None:
            self.listener.connected()

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _more: Any) -> None:
        token = self._tokens.pop(mid, None)
        if token is None or self.listener is None:
            return
        if reason.is_failure:
            self.listener.refused(token, str(reason), final=reason.value not in TRANSIENT)
        else:
            self.listener.acknowledged(token)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if self.listener is not None:
            self.listener.received(message.topic, message.payload)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _more: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused and self.listener is not None:
            self.listener.refused(0, f"a subscription: {refused[0]}", final=True)

    def _on_disconnect(self, _c: Any, _d: Any, _flags: Any, reason: Any, _more: Any) -> None:
        self._thread.order(lambda: self._lost(str(reason)), always=True)


@contextlib.contextmanager
def _lingering(sock: Any) -> Iterator[None]:
    """Keeps the TCP connection until the broker has hung up.

    paho closes its socket right behind DISCONNECT. If anything from the broker is unread then, the
    kernel answers with a reset: the broker's next write fails (the acknowledgement of the
    farewell), and it sends the will although DISCONNECT was already on its way.
    """
    kept = socket.socket(fileno=os.dup(sock.fileno()))
    try:
        yield
        kept.shutdown(socket.SHUT_WR)
        until_s = time.monotonic() + LINGER_S
        while (left_s := until_s - time.monotonic()) > 0:
            kept.settimeout(left_s)
            if not kept.recv(4096):
                break
    finally:
        kept.close()


def _properties(message: MqttMessage) -> Properties | None:
    if not message.attributes:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = list(message.attributes)
    return properties


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    return f"{type(error).__name__}: {error}" if not isinstance(error, OSError) else str(error)
