"""Stations that are recorded while they work, and their crash states judged: what crash.py is made of."""
import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(os.environ["SOURCE"]) / "tests/system"))
from harness import CODEBOOK, PATIENCE, Failed, Network, Station, _in_child, check, comment, environment, sanji  # noqa: E402

MEMORY = Path("/dev/shm")   # thousands of states are laid down and opened: where a flush costs nothing, if there is room
ROOM = 256 << 20            # bytes
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    tempfile.tempdir = str(MEMORY)

RECORD, REPLAY = os.environ["RECORD"], os.environ["REPLAY"]
ALL = bool(os.environ.get("SANJI_ALL"))       # every state; otherwise a seeded part
SEED = int(os.environ.get("SANJI_SEED", "1"))
NAME = "s"                                    # of every station's directory, in a folder of its own
LOG_ROOT, LOG_NOTE, LOG_WRITE, LOG_MESSAGE = 1, 2, 7, 14  # log.h
HEAD = struct.Struct("<IBBHIIQQQII")

MORE = '[{"key":"later","since":"2023-03-05","status":"active","name":"乙","birth":"2016-03-04","sex":"f","category":["orphan"]}]'


class Recorded(Station):
    """What is done through does() and run() is recorded; the verbs of Station are not, and must not be used without a running node."""

    def __init__(self, network, name, parent, serves, unit):
        super().__init__(network, name, parent, serves)
        self.unit = unit
        self.folder = network.dir / name
        self.folder.mkdir()
        self.dir = self.folder / NAME
        self.events = network.dir / f"{name}.events"
        self.lock = network.dir / f"{name}.lock"
        self._put(LOG_ROOT, file=self.folder.stat().st_ino)
        network.stations[name] = self

    def _put(self, kind, text="", file=0):
        text = text.encode()
        with open(self.events, "ab", buffering=0) as events:
            events.write(HEAD.pack(HEAD.size + len(text), kind, 0, 0, os.getpid(), 0, file, 0, 0, len(text), 0) + text)

    def happened(self):
        """(kind, text) of every event."""
        log, at, events = self.events.read_bytes(), 0, []
        while at < len(log):
            size, kind, *_, text, _ = HEAD.unpack_from(log, at)
            events.append((kind, log[at + HEAD.size:at + HEAD.size + text]))
            at += size
        return events

    def preload(self, **more):
        return {"LD_PRELOAD": RECORD, "RECORD_TO": str(self.events), "RECORD_UNDER": str(self.folder), **more}

    def does(self, verb, *arguments, stdin=None, code=0, make=False, **env):
        self._put(LOG_NOTE, f"begin {NAME}" + (" make" if make else ""))
        result = sanji(verb, *arguments, *([] if make else ["-d", self.dir]), stdin=stdin, code=code, **self.preload(**env))
        self._put(LOG_NOTE, f"end {NAME}")
        return result

    def run(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([os.environ["SANJI"], "run", str(self.dir)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(**self.preload()),
                                           preexec_fn=_in_child({}))
        self._put(LOG_NOTE, f"process {NAME} {self.process.pid}")
        check(not wait or self._listens(), self, "did not start:", self.tail())
        shutil.copy(self.dir / "store/lock.mdb", self.lock)
        return self

    def judge(self, which=None, limit=0, options=(), good=True):
        """Builds and opens crash states. `limit`: of the states, in a run that is not to try them all."""
        work = self.network.dir / f"{self.name}.work"
        work.mkdir(exist_ok=True)
        command = [REPLAY, self.events, "--station", NAME, "--work", work, "--record", MORE, "--seed", SEED, *options]
        command += ["--which", which] if which else []
        command += ["--limit", limit] if limit and not ALL else []
        command += ["--lock", self.lock] if self.lock.exists() else []
        if not self.parent:
            command += ["--unit", self.unit, "--units", self.network.units, "--codebook", CODEBOOK]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", check=False)
        if (done.returncode == 0) == good and done.returncode in (0, 1):
            if good and which != "promised":
                print(done.stdout, end="", flush=True)
            return done.stdout
        raise Failed(f"exit {done.returncode}\n{done.stdout}{done.stderr}\nthis state again (SANJI_KEEP=1 keeps the log): "
                     f"{shlex.join(map(str, command))} --state STATE")


def make_root(net, name="c", unit="C"):
    station = Recorded(net, name, None, True, unit)
    station.does("init", station.dir, "--unit", unit, "--units", net.units, "--codebook", CODEBOOK, "--listen", station.listen, "--join",
                 station.enrol, make=True)
    return station


def join(net, parent, unit, name, token=None, **more):
    station = Recorded(net, name, parent, False, unit)
    token = token or parent.does("invite", unit, "--json").json[0]["token"]
    station.does("join", station.dir, token, make=True, **more)
    return station
