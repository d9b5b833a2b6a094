"""NATS: three servers with JetStream as leaf nodes, each with a domain; a stream at the leaf, mirrored to the middle and on to the top."""
import json
import os
import re
import socket
import subprocess
import time

from bench import until, which
from peer import Servers, free_port

PACKED = 256            # records in one message of 64 KB
FLUSHES_SINCE = (2, 10)  # the first version that can be told to flush each write


def program():
    return os.environ.get("NATS_SERVER") or which("nats-server")


def version():
    text = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.search(r"v(\d+)\.(\d+)\.(\d+)", text).groups())


def configuration(port, domain, store, flushes, listen=None, remote=None):
    jetstream = f'jetstream {{ store_dir: "{store}", domain: {domain}, max_mem: 64MB, max_file: 20GB {", sync_interval: always" if flushes else ""} }}'
    leaf = (f'listen: "127.0.0.1:{listen}"\n' if listen else "") + (f'remotes: [ {{ url: "nats-leaf://127.0.0.1:{remote}" }} ]\n' if remote else "")
    return f'server_name: {domain}\nlisten: "127.0.0.1:{port}"\n{jetstream}\nleafnodes {{\n{leaf}}}\n'


class Connection:
    """One that asks now and then."""

    def __init__(self, port):
        self.link = socket.create_connection(("127.0.0.1", port), 10)
        self.text = self.link.makefile("rb")
        self.inbox = f"answers.{port}"  # subjects are one space over all three
        self.link.sendall(f'CONNECT {{"verbose":false,"pedantic":false}}\r\nSUB {self.inbox} 1\r\n'.encode())

    def ask(self, subject, request=None):
        data = json.dumps(request).encode() if request else b""
        self.link.sendall(f"PUB {subject} {self.inbox} {len(data)}\r\n".encode() + data + b"\r\n")
        while True:
            line = self.text.readline()
            if line.startswith(b"MSG "):
                return json.loads(self.text.read(int(line.split()[-1]) + 2))
            if line.startswith(b"PING"):
                self.link.sendall(b"PONG\r\n")
            if not line:
                raise RuntimeError("the NATS server hung up")


class Chain:
    """`flushes`: every write goes to the disk at once; from FLUSHES_SINCE on also before it is acknowledged."""

    def __init__(self, context, flushes):
        self.context, self.servers = context, Servers(context, "nats-flushed" if flushes else "nats")
        by_option = flushes and version() >= FLUSHES_SINCE
        if flushes and not by_option:
            subprocess.run(["chattr", "+S", self.servers.dir], check=True, capture_output=True)  # and all that is made in it
        self.number = 0
        leaf, middle, top, middle_leaf, top_leaf = (free_port() for _ in range(5))
        for domain, port, listen, remote in (("top", top, top_leaf, None), ("middle", middle, middle_leaf, top_leaf), ("leaf", leaf, None, middle_leaf)):
            path = self.servers.dir / f"{domain}.conf"
            path.write_text(configuration(port, domain, self.servers.dir / domain, by_option, listen, remote))
            self.servers.start([program(), "-c", path], port)
        self.leaf_port, self.ports = leaf, {"leaf": leaf, "middle": middle, "top": top}
        self.links = {domain: Connection(port) for domain, port in self.ports.items()}

    def create(self, domain, stream, **more):
        answer = self.links[domain].ask(f"$JS.API.STREAM.CREATE.{stream}", {"name": stream, "storage": "file", "retention": "limits", "num_replicas": 1, **more})
        if "error" in answer:
            raise RuntimeError(f"NATS: {answer['error']}")

    def messages(self, stream):
        return self.links["top"].ask(f"$JS.API.STREAM.INFO.{stream}").get("state", {}).get("messages", 0)

    def measure(self, records, size, packed=1, window=4096):
        """Records a second until the top holds all of them."""
        self.number += 1
        names = [f"{domain}{self.number}" for domain in ("L", "M", "T")]
        self.create("leaf", names[0], subjects=[f"records{self.number}"])
        self.create("middle", names[1], mirror={"name": names[0], "external": {"api": "$JS.leaf.API"}})
        self.create("top", names[2], mirror={"name": names[1], "external": {"api": "$JS.middle.API"}})
        self.publish(1, size, 1)  # the mirrors are there when the first one has arrived
        until(lambda: self.messages(names[2]) == 1, "the mirrors of NATS have begun", 60)
        count = records // packed
        began = time.monotonic()
        self.publish(count, size * packed, window)
        until(lambda: self.messages(names[2]) == 1 + count, "all is at the top of NATS", 300)
        seconds = time.monotonic() - began
        for domain, name in zip(self.ports, names):
            self.links[domain].ask(f"$JS.API.STREAM.DELETE.{name}")
        return count * packed / seconds

    def publish(self, count, size, window):
        self.context.call(self.context.build / "tests/bench/bench_peer_client", "nats", self.leaf_port, f"records{self.number}", count, size, window, timeout=150)


def contenders(context, size):
    """name -> callable, or a plain word why not."""
    if not program():
        return {"NATS JetStream": "nats-server is not installed"}
    plain = Chain(context, False)
    found = {"NATS JetStream": lambda: plain.measure(40000, size), "NATS JetStream, 256 packed": lambda: plain.measure(PACKED * 2000, size, PACKED, 64)}
    how = "flushed" if version() >= FLUSHES_SINCE else "chattr +S"
    try:
        flushed = Chain(context, True)
    except (OSError, subprocess.CalledProcessError):
        word = f"nats-server {'.'.join(map(str, version()))} can't flush each write (since 2.10 it can: NATS_SERVER=path of one), nor can this file system"
        return found | {"NATS JetStream, flushed": word, "NATS JetStream, 256 packed, flushed": word}
    if how != "flushed":
        context.note("nats-server before 2.10 can't flush each write by itself: the file system does (chattr +S), and it acknowledges before")
    return found | {f"NATS JetStream, {how}": lambda: flushed.measure(4000, size),
                    f"NATS JetStream, 256 packed, {how}": lambda: flushed.measure(PACKED * 1000, size, PACKED, 64)}
