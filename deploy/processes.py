"""The program `sanji` as processes: short calls that are waited for, and nodes that run until they are stopped. No process outlives this
one: nodes are stopped by their ids, and the kernel sends them SIGTERM should this script die without a word (setpriv --pdeathsig)."""
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

CALLS_AT_ONCE = 6  # each is short; two processors have enough of six
CALL_SECONDS = 120  # the longest is a verify
START_SECONDS = 60  # a node on a loaded machine
STOP_SECONDS = 30  # for what is being committed; then SIGKILL
JOIN_TRIES = 6  # a join may be repeated until it succeeds


class Failure(Exception):
    """Something that a person must be told; the text says it all."""


class Program:
    """Short calls of one binary."""

    def __init__(self, binary, at_once):
        self.binary = str(binary)
        self.slots = asyncio.Semaphore(at_once)

    async def call(self, *arguments, data=None):
        """(exit status, stdout, stderr); never leaves a process behind."""
        async with self.slots:
            process = await asyncio.create_subprocess_exec(
                self.binary, *arguments, stdin=asyncio.subprocess.PIPE if data is not None else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, process_group=0)
            try:
                out, err = await asyncio.wait_for(process.communicate(data), CALL_SECONDS)
            except TimeoutError:
                return -1, "", f"no answer within {CALL_SECONDS} s"
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    async def ask(self, *arguments, data=None):
        status, out, err = await self.call(*arguments, data=data)
        if status != 0:
            shown = " ".join("TOKEN" if argument.startswith("sanji1-") else argument for argument in arguments)
            raise Failure(f"sanji {shown}\n{err.strip() or out.strip() or 'exit status ' + str(status)}")
        return out

    async def ask_json(self, *arguments, data=None):
        return json.loads(await self.ask(*arguments, "--json", data=data))


class Nodes:
    """Running nodes, one process each, in one process group, started and stopped by this thread only."""

    def __init__(self, binary, logs):
        self.binary, self.logs = str(binary), logs
        self.processes = {}  # directory -> Popen
        self.group = 0  # of the first one

    async def start(self, directory):
        with open(self.log(directory), "ab") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", self.binary, "run", str(directory)], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, process_group=self.group)
        self.group = self.group or process.pid
        self.processes[directory] = process
        begun = time.monotonic()
        while not answers(directory / "control.sock"):
            if process.poll() is not None:
                raise Failure(f"the node in {directory} ended with status {process.returncode}:\n{self.last_words(directory)}")
            if time.monotonic() - begun > START_SECONDS:
                raise Failure(f"the node in {directory} does not answer after {START_SECONDS} s:\n{self.last_words(directory)}")
            await asyncio.sleep(0.02)

    def log(self, directory):
        return self.logs / f"{directory.name}.log"

    def last_words(self, directory):
        lines = self.log(directory).read_text(errors="replace").splitlines()
        return "\n".join(lines[-5:]) or "(its log is empty)"

    def ended(self):
        return [directory for directory, process in self.processes.items() if process.poll() is not None]

    def memory_bytes(self):
        """Of all nodes, shared pages counted in proportion; 0 when the kernel does not say."""
        total = 0
        for process in self.processes.values():
            try:
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
            except OSError:
                pass
        return total

    def stop(self):
        """Stops all; returns those that had to be killed. Does not yield, so nothing starts meanwhile."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        killed, end = [], time.monotonic() + STOP_SECONDS
        for directory, process in self.processes.items():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed.append(directory)
        self.processes.clear()
        self.group = 0
        return killed


def answers(path):
    """Whether somebody listens on that Unix socket."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # a path of any length, where a socket's may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(f"/proc/self/fd/{directory}/{path.name}")
        return True
    except OSError:
        return False
    finally:
        os.close(directory)


def free_ports(count):
    """Loopback ports that nobody has, outside the range from which the kernel takes ports for outgoing connections."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    last = min(low, 32768) - 1
    first = 10000 if last > 12000 else 1024
    candidates, ports = list(range(first, last)), []
    random.shuffle(candidates)
    for port in candidates:
        if len(ports) == count:
            break
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    if len(ports) < count:
        raise Failure(f"no {count} free ports on 127.0.0.1 between {first} and {last}")
    return ports
