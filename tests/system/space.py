"""No room on the disk, at each tier: new work is refused with words, everything held can be read and still goes up, and when there is
room again all goes on by itself. Once on a small file system of its own, once under a limit of file size.

Mounting takes root, or a name space of one's own: the program starts itself again in one where it has to.
"""
import ctypes
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Failed, Network, check, comment, county, equal, run, wait_for
from ledger import MONTH, Typist, all_arrived, lead

TREE = county(1, 2)
SMALL = 12 * 1024 * 1024  # bytes of the file system: a station that has just joined takes about 1 MiB
INSIDE = "SANJI_TEST_NAMESPACE"
libc = ctypes.CDLL(None)


def may_mount():
    with tempfile.TemporaryDirectory() as place:
        mounted = libc.mount(b"none", place.encode(), b"tmpfs", 0, None) == 0
        return mounted and libc.umount2(place.encode(), 0) == 0


def with_mounts():
    """Goes on where this process may mount; False: it can nowhere."""
    if may_mount():
        return True
    if INSIDE in os.environ or subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode != 0:
        return False
    os.execvpe("unshare", ["unshare", "-Urm", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})


class Disk:
    """A small file system, with room that can be taken away and given back."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="sanji-disk-"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", str(self.path)], capture_output=True, check=False)
        check(done.returncode == 0, "mount:", done.stderr)
        return self

    def __exit__(self, kind, value, trace):
        subprocess.run(["umount", "-l", str(self.path)], check=True)
        self.path.rmdir()

    def fill(self, station):
        with open(self.path / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\x00" * 4096)
            except OSError:
                pass

    def free(self, station):
        (self.path / "ballast").unlink()


class Limit:
    """A limit of file size of a node that runs."""
    path = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        pass

    def fill(self, station):
        size = (station.dir / "store/data.mdb").stat().st_size
        resource.prlimit(station.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def free(self, station):
        resource.prlimit(station.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def until_full(typist):
    """Types until nothing more is taken. What was acknowledged counts; then several refusals in a row."""
    for size in (20, 1, 1, 1):  # where twenty find no room, one may
        typist.size = size
        for _ in range(2000):
            if not typist.type():
                break
        else:
            raise Failed("it never was full")
    equal(set(typist.refused), {"ERR_FULL"}, "why it was refused")
    station = typist.station
    result = station.record("lead", lead("police"), code=1)
    check("full" in result.err and result.json["error"]["action"], "it says that the disk is full, and what to do", result)
    equal(station.status()["state"], "full", "its state")
    check("ALARM" in station.tail() and "full" in station.tail(), "an alarm in its log", station.tail())


def sure(typist):
    return len(typist.acknowledged)


def starts_again(station, top, acknowledged):
    """The power goes, more than once, while the disk is full: the station still starts, can be read, and its links come back."""
    for _ in range(5):
        station.kill()
        equal(station.value("leads", MONTH, station.unit, which="own") >= acknowledged, True, "read without a node")
        station.run()
        check(station.value("leads", MONTH, station.unit, which="own") >= acknowledged, "read")
        if station is not top:
            wait_for(station.live, "the link up")


def full_at(unit, room):
    with room, Network(TREE) as net:
        def where(name):
            return room.path / name if room.path and name == unit else None
        top = net.init("C", where=where("C")).run()
        town = net.join(top, "C1", serves=True, where=where("C1")).run()
        village = net.join(town, "C1-001", where=where("C1-001")).run()
        typists = {station.unit: Typist(station, 1, size=20) for station in (top, town, village)}
        for typist in typists.values():
            typist.type()
        victim = net.stations[unit]
        wait_for(lambda: top.value("leads", MONTH) == 60, "all of it before")
        room.fill(victim)
        until_full(typists[unit])
        held = victim.value("leads", MONTH, unit, which="own")
        check(held >= sure(typists[unit]), "what it acknowledged can be read")
        wait_for(lambda: top.value("leads", MONTH, unit, which="own") >= sure(typists[unit]), "and still goes up")
        for name, typist in typists.items():
            if name != unit:
                for _ in range(3):
                    check(typist.type(), "others go on", typist.last_refusal)
        if unit != "C1-001":
            before = victim.value("leads", MONTH)
            typists["C1-001"].type()
            equal(victim.value("leads", MONTH), before, "it takes nothing from below")
        check(victim.tail(10 ** 6).count("\n") < 100, "its log stays short")
        if room.path:
            starts_again(victim, top, sure(typists[unit]))
        room.free(victim)
        wait_for(typists[unit].type, "it takes new work again, by itself")
        total = all_arrived(TREE, typists.values(), (top, town))
        equal(victim.status()["state"], "ready", "its state")
        kinds = [alarm["kind"] for alarm in victim.alarms()]
        check(kinds == ["disk-full"] or (room.path and not kinds), "what it keeps of it, unless it was killed before there was room", kinds)
        comment(f"{total} records; refused at {unit}: {sum(typists[unit].refused.values())} commands")


def fault_07_disk_full_at_the_village():
    full_at("C1-001", Disk())


def fault_07_disk_full_at_the_township():
    full_at("C1", Disk())


def fault_07_disk_full_at_the_county():
    full_at("C", Disk())


def fault_07_file_size_limit_at_the_village():
    full_at("C1-001", Limit())


def fault_07_file_size_limit_at_the_township():
    full_at("C1", Limit())


def fault_07_file_size_limit_at_the_county():
    full_at("C", Limit())


def main():
    tests = [test for name, test in sorted(globals().items()) if re.match(r"fault_\d", name)]
    if not with_mounts():
        comment("SKIPPED: THIS MACHINE ALLOWS NO MOUNT, NEITHER TO THIS USER NOR IN A NAME SPACE: a full disk is not tested, a limit of size is")
        tests = [test for test in tests if "disk_full" not in test.__name__]
    run(*tests)


main()
