"""A peer written by somebody else: ZMTP 3.0 with CURVE (RFC 23, RFC 26) over a plain socket, so that it can say anything, byte by byte.

The cryptography is libsodium's, by its C functions; everything else stands here. It may hold the keys of an enrolled station, as a station
taken over by somebody does.
"""
import ctypes
import os
import socket
import struct
import time

from harness import check, place_of

_sodium = ctypes.CDLL("libsodium.so.23")
check(_sodium.sodium_init() >= 0, "libsodium")
MORE, COMMAND, LONG = 1, 4, 2  # flags of a frame; of what is inside an encrypted message: 1 and 2
INNER_COMMAND = 2
HELD = 32  # NaCl's zero bytes before a plain text; a box has 16


def keypair():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    _sodium.crypto_box_keypair(public, secret)
    return public.raw, secret.raw


class Curve:
    """crypto_box with one pair of keys, the shared key worked out once."""

    def __init__(self, public, secret):
        self.shared = ctypes.create_string_buffer(32)
        check(_sodium.crypto_box_beforenm(self.shared, public, secret) == 0, "keys")

    def seal(self, nonce, plain):
        out = ctypes.create_string_buffer(len(plain) + 16)
        _sodium.crypto_box_easy_afternm(out, plain, ctypes.c_ulonglong(len(plain)), nonce, self.shared)
        return out.raw

    def open(self, nonce, box):
        out = ctypes.create_string_buffer(max(1, len(box) - 16))
        check(_sodium.crypto_box_open_easy_afternm(out, box, ctypes.c_ulonglong(len(box)), nonce, self.shared) == 0, "a box that opens")
        return out.raw[:len(box) - 16]


def frame(flags, body):
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def greeting(mechanism=b"CURVE"):
    return b"\xff" + b"\x00" * 8 + b"\x7f\x03\x00" + mechanism.ljust(20, b"\x00") + b"\x00" * 32


class Peer:
    """A client's connection. `keys`: (public, secret) of its long-term pair, None: new ones; `server`: the other's public key."""

    def __init__(self, address, server, keys=None, metadata=None):
        self.public, self.secret = keys or keypair()
        self.server = server
        self.link = socket.create_connection(place_of(address), 10)
        self.link.settimeout(10)
        self.buffer, self.sent = b"", 1
        self.metadata = {b"Socket-Type": b"DEALER", b"Identity": b""} if metadata is None else metadata

    def close(self):
        self.link.close()

    # -- bytes

    def raw(self, data):
        self.link.sendall(data)

    def read(self, size):
        while len(self.buffer) < size:
            part = self.link.recv(65536)
            if not part:
                raise ConnectionError("it hung up")
            self.buffer += part
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def read_frame(self):
        flags, = self.read(1)
        size, = struct.unpack(">Q", self.read(8)) if flags & LONG else self.read(1)
        return flags, self.read(size)

    # -- the handshake, step by step

    def greet(self):
        self.raw(greeting())
        check(self.read(64)[12:17] == b"CURVE", "it speaks CURVE")

    def hello(self):
        self.short_public, self.short_secret = keypair()
        nonce = struct.pack(">Q", 1)
        box = Curve(self.server, self.short_secret).seal(b"CurveZMQHELLO---" + nonce, b"\x00" * 64)
        self.raw(frame(COMMAND, b"\x05HELLO\x01\x00" + b"\x00" * 72 + self.short_public + nonce + box))

    def welcome(self):
        _, body = self.read_frame()
        check(body[:8] == b"\x07WELCOME", "welcome", body[:20])
        plain = Curve(self.server, self.short_secret).open(b"WELCOME-" + body[8:24], body[24:])
        self.server_short, self.cookie = plain[:32], plain[32:]
        self.box = Curve(self.server_short, self.short_secret)

    def initiate(self):
        self.sent = 2
        vouch_nonce = os.urandom(16)
        vouch = Curve(self.server_short, self.secret).seal(b"VOUCH---" + vouch_nonce, self.short_public + self.server)
        properties = b"".join(bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in self.metadata.items())
        nonce = struct.pack(">Q", self.sent)
        box = self.box.seal(b"CurveZMQINITIATE" + nonce, self.public + vouch_nonce + vouch + properties)
        self.raw(frame(COMMAND, b"\x08INITIATE" + self.cookie + nonce + box))

    def ready(self):
        _, body = self.read_frame()
        check(body[:6] == b"\x05READY", "ready", body[:20])
        return self

    def shake(self):
        self.greet()
        self.hello()
        self.welcome()
        self.initiate()
        return self.ready()

    # -- messages

    def packed(self, data, more=False, command=False):
        self.sent += 1
        nonce = struct.pack(">Q", self.sent)
        inner = bytes([(1 if more else 0) | (INNER_COMMAND if command else 0)]) + data
        return frame(0, b"\x07MESSAGE" + nonce + self.box.seal(b"CurveZMQMESSAGEC" + nonce, inner))

    def message(self, *frames):
        for number, part in enumerate(frames):
            self.raw(self.packed(part, more=number + 1 < len(frames)))

    def say(self, message, body=b""):
        """As a station frames it: the message's size, the message, its body."""
        size, prefix = 2 * len(message), b""
        while size >= 0x80:
            prefix, size = prefix + bytes([size & 0x7f | 0x80]), size >> 7
        self.message(prefix + bytes([size]) + message + body)

    def hangs_up(self, seconds=30):
        """Waits until the other end has closed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.link.settimeout(max(0.1, end - time.monotonic()))
            try:
                if not self.link.recv(65536):
                    return True
            except ConnectionError:
                return True
            except TimeoutError:
                pass
        return False
