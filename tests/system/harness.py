"""Real stations as processes, over real sockets: what the system tests share.

A test is a function; run() calls those it is given and prints TAP. Stations live in a Network, which works in a directory of its own and
at its end stops every node, runs `sanji verify` on every store, and fails the test on any difference.

Environment: SANJI is the program, SOURCE the root of the repository, CLOCK the library of clock.c.
"""
import ctypes
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path

SANJI = os.environ["SANJI"]
SOURCE = Path(os.environ["SOURCE"])
CODEBOOK = SOURCE / "schema/codebook/child-protection.yaml"
POLL = 0.03       # seconds between two looks at a condition
PATIENCE = 60     # seconds until a condition that must come true has not
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(AssertionError):
    """A check that did not hold."""


def check(condition, *detail):
    if not condition:
        raise Failed(" ".join(str(part) for part in detail) or "does not hold")


def equal(found, wanted, what=""):
    if found != wanted:
        raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")


def wait_for(condition, what, seconds=PATIENCE):
    """Looks until condition() is true, and returns what it gave. A condition may raise Failed to say what is still wrong."""
    end = time.monotonic() + seconds
    while True:
        trouble = None
        try:
            value = condition()
            if value:
                return value
        except Failed as failed:
            trouble = failed
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}" + (f"; last: {trouble}" if trouble else ""))
        time.sleep(POLL)


def until_midnight():
    """Seconds left of the codebook's day: the tests speak of "today", and mean one day."""
    now = datetime.now(timezone(timedelta(hours=8)))
    return ((now + timedelta(days=1)).replace(hour=0, minute=0, second=0) - now).total_seconds()


def comment(text):
    print("\n".join("# " + line for line in str(text).splitlines()), flush=True)


def run(*tests):
    """Runs the tests, prints TAP, and ends the process. `python3 FILE NAME...` runs those named only; SANJI_SKIP names some to leave out."""
    wait_for(lambda: until_midnight() > 120, "the day that has just begun", 180)
    wanted = sys.argv[1:]
    skipped = os.environ.get("SANJI_SKIP", "").split()
    chosen = [test for test in tests if not wanted or test.__name__ in wanted]
    print(f"1..{len(chosen)}", flush=True)
    bad = 0
    for number, test in enumerate(chosen, 1):
        began = time.monotonic()
        if test.__name__ in skipped:
            print(f"ok {number} - {test.__name__} # SKIP", flush=True)
            continue
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:  # anything that goes wrong is this test's failure, and the next one still runs
            bad += 1
            print(f"not ok {number} - {test.__name__}", flush=True)
            comment(traceback.format_exc())
        comment(f"{test.__name__}: {time.monotonic() - began:.1f} s")
    sys.exit(1 if bad else 0)


# ---- addresses

# Listening addresses lie outside 127.0.0.1, whose ports the dialling side of other connections takes while a node is down.
_host = f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}.{random.randrange(1, 255)}"
_held = []


def free_address():
    """tcp://HOST:PORT that nobody uses: the system names the port, and names it once."""
    probe = socket.socket()
    probe.bind((_host, 0))
    port = probe.getsockname()[1]
    probe.close()
    if port in _held:
        return free_address()
    _held.append(port)
    return f"tcp://{_host}:{port}"


def place_of(address):
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    return host, int(port)


# ---- one run of the program

class Result:
    def __init__(self, code, out, err, arguments):
        self.code, self.out, self.err, self.arguments = code, out, err, arguments

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"sanji {' '.join(map(str, self.arguments))}: exit {self.code}\n{self.out[:2000]}\n{self.err[:2000]}"


def environment(days=0, **more):
    """`days`: how far the wall clock is off."""
    more |= {"LD_PRELOAD": os.environ["CLOCK"], "CLOCK_DAYS": str(days)} if days else {}
    base = {key: value for key, value in os.environ.items() if key not in ("LANG", "LC_ALL", "LC_MESSAGES", "SANJI_DIR", "TZ", "NO_COLOR")}
    return {**base, "LANG": "C.UTF-8", **{key: value for key, value in more.items() if value is not None}}


def sanji(*arguments, stdin=None, code=0, timeout=300, **env):
    """Runs the program; `code` is the exit status it must have, None: any."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([SANJI, *map(str, arguments)], input=data if data is not None else b"", capture_output=True, timeout=timeout,
                          env=environment(**env), check=False)
    result = Result(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape"), arguments)
    if code is not None and result.code != code:
        raise Failed(f"wanted exit {code}: {result}")
    return result


def _in_child(limits):
    """What a node's process does first: it dies with this one, and keeps to the limits {resource.RLIMIT_...: number}."""
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for what, number in limits.items():
            resource.setrlimit(what, (number, resource.getrlimit(what)[1]))
    return prepare


# ---- a station

class Station:
    def __init__(self, network, name, parent, serves, tz=None, where=None):
        self.network, self.name, self.parent, self.tz = network, name, parent, tz
        self.dir = where or network.dir / name
        self.log = network.dir / f"{name}.log"
        self.listen = free_address() if serves else None
        self.enrol = free_address() if serves else None
        self.process = None
        self.unit = None
        self.days = 0  # how far its clock is off
        self.limits = {}  # of its process
        self.program, self.env = SANJI, {}  # of its node: a test may have another one

    def __repr__(self):
        return f"station {self.name}"

    def cli(self, verb, *arguments, **more):
        more = {"TZ": self.tz, "days": self.days, **more}
        return sanji(verb, "-d", self.dir, *arguments, **more)

    # -- life

    def run(self, wait=True):
        """Starts the node. A command that holds the directory for a moment makes it try again, as a service manager would."""
        check(not self.process, self, "runs already")
        self.ran = True
        end = time.monotonic() + PATIENCE
        while True:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen([self.program, "run", str(self.dir)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env=environment(TZ=self.tz, days=self.days, **self.env), preexec_fn=_in_child(self.limits))
            if not wait or self._listens():
                return self
            self.process = None
            check(time.monotonic() < end and "open" in self.tail(), self, "did not start:", self.tail())

    def tail(self, size=2000):
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def _listens(self):
        def ready():
            if self.process.poll() is not None:
                return True
            probe = socket.socket(socket.AF_UNIX)
            try:
                probe.connect(f"{self.dir}/control.sock")
                return True
            except OSError:
                return False
            finally:
                probe.close()
        wait_for(ready, f"{self} listens")
        return self.process.poll() is None

    def stop(self):
        """SIGTERM; it must end well."""
        if not self.process:
            return self
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{self} does not stop: {self.tail()}") from None
        check(code == 0, self, "ended with", code, self.tail())
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        return self

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", "it stands still")
        return self

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        return self

    @property
    def alive(self):
        return bool(self.process) and self.process.poll() is None

    # -- verbs

    def invite(self, *units, **more):
        arguments = [f"--{key}={value}" for key, value in more.items()]
        return [item["token"] for item in self.cli("invite", *units, *arguments, "--json").json]

    def record(self, form, records, unit=None, csv=False, code=0, check_only=False, person=None):
        """Types records in; returns what the program says of each: record, revision, subject."""
        arguments = [form, "-f", "-", "--json"]
        arguments += ["--unit", unit] if unit else []
        arguments += ["--person", person] if person else []
        arguments += ["--check"] if check_only else []
        text = records if isinstance(records, (str, bytes)) else json.dumps(records if isinstance(records, list) else [records], ensure_ascii=False)
        result = self.cli("record", *arguments, stdin=text, code=code)
        return result.json["records"] if code == 0 else result

    def importing(self, path, *arguments, code=0):
        result = self.cli("import", path, "--json", *arguments, code=code)
        return result.json if code == 0 else result

    def figures(self, indicator, period, unit=None, by=None, where=(), code=0):
        arguments = ["-i", indicator, "-p", period, "--json"]
        arguments += ["--unit", unit] if unit else []
        arguments += ["--by", by] if by else []
        for filter_ in where:
            arguments += ["--where", filter_]
        result = self.cli("figures", *arguments, code=code)
        return result.json if code == 0 else result

    def value(self, indicator, period, unit=None, where=(), which="subtree"):
        rows = self.figures(indicator, period, unit, where=where)["rows"]
        equal(len(rows), 1, f"{self}: rows of {indicator} {period}")
        return rows[0][which] or 0

    def status(self):
        return self.cli("status", "--json").json

    def up(self):
        """The link to the parent, as status says."""
        links = [link for link in self.status()["links"] if link["direction"] == "up"]
        check(links, self, "has no link up: it has only just been started")
        return links[0]

    def live(self):
        return self.up()["state"] == "live"

    def alarms(self):
        return self.status()["alarms"]

    def verify(self):
        """Every difference that `sanji verify` finds; it must say the same by its exit status."""
        result = self.cli("verify", "--json", code=None)
        check(result.code in (0, 1) and result.out.lstrip().startswith("{") and "ok" in result.json, "verify:", result)
        check(result.json["ok"] == (result.code == 0), "verify says two things:", result)
        return [] if result.json["ok"] else result.json["texts"] or [result.out]

    def settled(self):
        """A lone station has signed its last month complete: until midnight it writes nothing of itself."""
        last = (datetime.now(timezone(timedelta(hours=8))) + timedelta(days=self.days)).replace(day=1) - timedelta(days=1)
        wait_for(lambda: self.figures("children", last.strftime("%Y-%m"))["freshness"]["missing_count"] == 0, f"{self} has said all it owes")
        return self

    def points(self, journal=True):
        """What may not change when something is refused: status counts and the files. `journal`: nothing else is written meanwhile."""
        status = self.status()
        names = ("records", "codebook_version", "units_version", "ordinal", "state") + (("journal_batches", "journal_entries") if journal else ())
        kept = {name: status[name] for name in names}
        kept["tokens"] = [unit["invited"] for unit in self.cli("units", "--json").json]
        kept["station.conf"] = (self.dir / "station.conf").read_bytes()
        kept["files"] = sorted(str(path.relative_to(self.dir)) for path in self.dir.rglob("*"))
        kept["keys"] = {path.name: path.read_bytes() for path in (self.dir / "keys").iterdir()}
        return kept


# ---- a network of them

class Network:
    def __init__(self, units, codebook=CODEBOOK):
        self.dir = Path(tempfile.mkdtemp(prefix="sanji-system-"))
        self.stations = {}
        self.proxies = []
        self.codebook = codebook
        self.days = 0  # how far the clocks of all stations to come are off
        if isinstance(units, Path):
            self.units = units
        else:
            self.units = self.dir / "units.csv"
            self.units.write_text(units_csv(units), encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.close(verify=kind is None)
        finally:
            if kind is not None:
                for station in list(self.stations.values())[:6]:
                    comment(f"{station}: {station.tail(800)}")
            if os.environ.get("SANJI_KEEP"):
                comment(f"kept: {self.dir}")
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    def close(self, verify=True):
        """Stops every node, then verifies every store. Nodes end by their process ids, also when one does not end well."""
        troubles = []
        for station in self.stations.values():
            if station.process and station.process.poll() is None:
                station.process.send_signal(signal.SIGCONT)
                station.process.send_signal(signal.SIGTERM)
        for station in self.stations.values():
            try:
                station.stop()
            except Failed as failed:
                troubles.append(str(failed))
        for proxy in self.proxies:
            proxy.close()
        if verify:
            for station in self.stations.values():
                if station.dir.exists():
                    troubles += [f"verify {station.name}: {text}" for text in station.verify()]
                crash = re.search(r"assert|Assertion|Sanitizer|terminate called|corrupted", station.tail(100000))
                if crash:
                    troubles.append(f"{station}: {station.tail()}")
        if troubles:
            raise Failed("\n".join(troubles))

    def init(self, unit, name=None, tz=None, codebook=None, where=None):
        """The root. `where`: its directory, if it is not to lie with the others."""
        station = Station(self, name or unit, None, True, tz, where)
        station.unit, station.days = unit, self.days
        sanji("init", station.dir, "--unit", unit, "--units", self.units, "--codebook", codebook or self.codebook, "--listen", station.listen,
              "--join", station.enrol, TZ=tz, days=self.days)
        self.stations[station.name] = station
        return station

    def join(self, parent, unit, name=None, serves=False, tz=None, token=None, where=None, **invitation):
        """A station for `unit` below `parent`, which runs."""
        token = token or parent.invite(unit, **invitation)[0]
        station = Station(self, name or unit, parent, serves, tz, where)
        station.unit, station.days = unit, self.days
        arguments = ["--listen", station.listen, "--join", station.enrol] if serves else []
        sanji("join", station.dir, token, *arguments, TZ=tz, days=self.days)
        self.stations[station.name] = station
        return station

    def chain(self, *units, leaf=True):
        """Stations from the root down, all running; the last one takes no children, if it is to be a leaf."""
        made = [self.init(units[0]).run()]
        for depth, unit in enumerate(units[1:], 2):
            made.append(self.join(made[-1], unit, serves=depth < len(units) or not leaf).run())
        return made

    def proxy(self, station, kind=None):
        """Puts a proxy (of `kind`: Proxy below, or proxy.Line) between a station (not running) and its parent."""
        config = station.dir / "station.conf"
        text = config.read_text()
        proxy = (kind or Proxy)(re.search(r"^parent = (\S+)$", text, re.M).group(1))
        config.write_text(re.sub(r"^parent = \S+$", f"parent = {proxy.address}", text, flags=re.M))
        self.proxies.append(proxy)
        return proxy


def units_csv(rows):
    """rows: (code, name, tier, parent), parents by code."""
    return "code,name,tier,parent_code\n" + "".join(",".join(row) + "\n" for row in rows)


def county(townships=2, villages=2):
    """A small tree: county C, townships C1.., villages C11.."""
    rows = [("C", "测试县", "county", "")]
    for t in range(1, townships + 1):
        rows.append((f"C{t}", f"第{t}镇", "township", "C"))
        rows += [(f"C{t}-{v:03}", f"{t}镇{v}村", "village", f"C{t}") for v in range(1, villages + 1)]
    return rows


class Proxy:
    """Carries TCP between a child and its parent, keeps what passed, and can cut every connection."""

    def __init__(self, target):
        self.target, self.address = place_of(target), free_address()
        self.passed = bytearray()
        self.open = True
        self.pairs = []
        self.lock = threading.Lock()
        self.connections = 0
        self.server = socket.create_server(place_of(self.address))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                child, _ = self.server.accept()
            except OSError:
                return
            try:
                check(self.open, "closed for now")
                parent = socket.create_connection(self.target)
            except (OSError, Failed):
                child.close()
                continue
            with self.lock:
                self.connections += 1
                self.pairs.append((child, parent))
            threading.Thread(target=self._carry, args=(child, parent), daemon=True).start()

    def lets_through(self, data, up):
        """`up`: it comes from the child."""
        with self.lock:
            self.passed += data
        return True

    def _carry(self, child, parent):
        other = {child: parent, parent: child}
        try:
            while True:
                for source in select.select([child, parent], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if self.lets_through(data, source is child):
                        other[source].sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            child.close()
            parent.close()

    def cut(self):
        """Resets every connection, as a failing line does."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.open = False
        self.server.close()
        self.cut()


# ---- reading answers

def table(reply, dims=(), unit=False, period=False):
    """The rows of figures --json as {(unit, itself, period, members...): (own, subtree)}, without those that are all zero."""
    found = {}
    for row in reply["rows"]:
        key = ((row["unit"], row["itself"]) if unit else ()) + ((row["period"],) if period else ()) + tuple(row["members"][dim] for dim in dims)
        check(key not in found, "two rows for", key)
        found[key] = (row["own"] or 0, row["subtree"] or 0)
    return {key: values for key, values in found.items() if values != (0, 0)}
