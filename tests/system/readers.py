"""Who reads slowly, or dies while reading, costs the node nothing: neither its writer's time nor, for good, room in its file."""
import os
import re
import socket
import struct
import subprocess
import time

from harness import SANJI, Failed, Network, check, comment, county, environment, equal, run, sanji, wait_for
from ledger import MONTH, Typist, lead

SLOT = 64            # bytes: a reader in lock.mdb (LMDB 0.9): transaction 8, process 4, ...
NOBODY = 2 ** 64 - 1
PAGE = 4096


def reading(station):
    """Processes that hold a read transaction of the store: {process: how many}."""
    found = {}
    data = (station.dir / "store/lock.mdb").read_bytes()
    for at in range(2 * SLOT, len(data) - SLOT + 1, SLOT):
        transaction, process = struct.unpack_from("<QI", data, at)
        if process and transaction != NOBODY:
            found[process] = found.get(process, 0) + 1
    return found


def pages(station):
    return (station.dir / "store/data.mdb").stat().st_size // PAGE


def growth(typist, commits):
    before = pages(typist.station)
    for _ in range(commits):
        check(typist.type(), typist.last_refusal)
    return pages(typist.station) - before


def killed_while_reading(station):
    """`sanji verify` beside the node, killed in the middle of its read transaction."""
    for _ in range(50):
        process = subprocess.Popen([SANJI, "verify", str(station.dir)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        while process.poll() is None and process.pid not in reading(station):
            pass
        process.kill()
        process.wait()
        if process.pid in reading(station):
            return process.pid
    raise Failed("no reader was caught while it read")


def fault_15_readers_killed_while_they_read():
    with Network(county(1, 1)) as net:
        station = net.init("C").run()
        typist = Typist(station, 1, size=20)
        growth(typist, 100)
        usual = growth(typist, 150)
        dead = [killed_while_reading(station) for _ in range(5)]
        check(any(process in reading(station) for process in dead), "readers that are gone and still counted")
        after = growth(typist, 150)
        check(not any(process in reading(station) for process in dead), "they were found out", reading(station))
        last = growth(typist, 150)
        comment(f"pages for 150 commits: {usual} before, {after} with dead readers, {last} later")
        check(last < 2 * usual + 100, "the file grows as it did before", usual, after, last)
        for _ in range(5):  # a command that asks the node, killed at any moment, is no reader at all
            process = subprocess.Popen([SANJI, "prove", "-d", str(station.dir), "-i", "leads", "-p", MONTH, "-o", str(net.dir / "proof")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
            process.kill()
            process.wait()
        wait_for(lambda: set(reading(station)) <= {station.process.pid}, "nobody else reads")


def stalled(station, request):
    """A client that asks, and takes nothing of the answer but its first bytes."""
    link = socket.socket(socket.AF_UNIX)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(30)
    link.connect(f"{station.dir}/control.sock")
    link.sendall(struct.pack(">I", len(request)) + request)
    size, = struct.unpack(">I", link.recv(4, socket.MSG_WAITALL))
    return link, size


def fault_16_clients_that_stall_in_the_middle_of_an_answer():
    """Forty clients ask for a list of 20,000 units and stop reading. The writer goes on, nobody holds a read transaction, the file does not grow."""
    with Network(county(100, 200)) as net:
        station = net.init("C").run()
        station.settled()
        typist = Typist(station, 1)
        growth(typist, 100)
        usual = growth(typist, 100)
        links = []
        for _ in range(40):
            link, size = stalled(station, b"\x1a\x00")  # UnitsRequest
            check(size > 1_000_000, "an answer that fits into no buffer", size)
            links.append(link)
        wait_for(lambda: not reading(station), "the readers' transactions end")
        later = growth(typist, 100)
        comment(f"pages for 100 commits: {usual} before, {later} with 40 stalled clients")
        check(later < 2 * usual + 100, "the file grows as it did", usual, later)
        equal(station.value("leads", MONTH), len(typist.acknowledged), "others are answered")
        for link in links[:20]:
            link.close()  # some leave in the middle
        data = b""
        while len(data) < size:  # and one goes on reading: all of it is there
            part = links[-1].recv(1 << 20)
            check(part, "the whole answer")
            data += part
        began = time.monotonic()
        station.stop()
        comment(f"stopped in {time.monotonic() - began:.1f} s with clients that do not read")


run(*[test for name, test in sorted(globals().items()) if re.match(r"fault_\d", name)])
