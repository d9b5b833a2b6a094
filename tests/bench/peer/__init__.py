"""The peers: other programs that carry records over three hops, each with servers of its own on loopback in a temporary directory."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from bench import until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Servers:
    """Processes in a directory of their own, ended by their ids."""
    running = []

    def __init__(self, context, name):
        Servers.running.append(self)
        self.dir = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=context.directory))
        self.processes = []

    def start(self, command, port, **more):
        with open(self.dir / f"log{len(self.processes)}", "wb") as log:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, **more)
        self.processes.append(process)
        until(lambda: answers(port) or process.poll() is not None, f"{command[0]} answers", 30)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]}: {Path(log.name).read_text(errors='replace')[-600:]}")
        return process

    @staticmethod
    def stop_all():
        while Servers.running:
            Servers.running.pop().stop()

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
