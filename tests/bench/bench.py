"""What the benchmarks share: rows, rounds, statistics, what /proc says, stations of tests/system/harness.py.

A benchmark is a module NAME.py in this folder with

    WHAT = "one line"               # for the table's heading
    TARGETS = ["tests/bench/bench_x"] # what ninja must build besides node/sanji; may be missing
    def run(context): -> list of rows, made by row() and skipped()

The harness (`from harness import Network, ...`) may be imported: the runner has set up what it needs. Its directories lie in
context.directory, on a real disk, and are removed afterwards.
"""
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
ROUNDS = 3  # unless --rounds says otherwise
TICK = os.sysconf("SC_CLK_TCK")


class Context:
    def __init__(self, name, build, directory, rounds=None, options=()):
        self.name, self.build, self.directory = name, Path(build), Path(directory)
        self.rounds = rounds or ROUNDS
        self.options = set(options)  # of --with
        self.sanji = self.build / "node/sanji"
        self.notes = []
        self.began = time.monotonic()

    def tool(self, name):
        """Where bench_NAME is, as built."""
        return str(self.build / "tests/bench" / f"bench_{name}")

    def call(self, *arguments, timeout=600, **more):
        """Runs a program to its end and returns what it printed; its failure is this benchmark's failure."""
        done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=timeout, check=False, **more)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def say(self, text):
        """Progress, to stderr."""
        print(f"   {self.name} {time.monotonic() - self.began:5.1f} s  {text}", file=sys.stderr, flush=True)

    def note(self, text):
        """A word that belongs below the table."""
        self.notes.append(text)


# ---- rows

def row(name, value, unit, better, yardstick=None, must=None, aim=None, of="value", **extra):
    """`value`: a number, or one for each round; so is `yardstick`, in the same unit, measured in the same rounds. `better`: "less" or
    "more". `must` and `aim` are about the value, or, `of="ratio"`, about value / yardstick. What else is given are further JSON keys."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    yardsticks = list(yardstick) if isinstance(yardstick, (list, tuple)) else [yardstick] if yardstick is not None else []
    middle = statistics.median(values)
    ratio = None
    if yardsticks:
        paired = len(yardsticks) == len(values)
        ratio = statistics.median(v / y for v, y in zip(values, yardsticks)) if paired else middle / statistics.median(yardsticks)
    judged = ratio if of == "ratio" else middle
    return {"name": name, "value": middle, "unit": unit, "better": better, "yardstick": statistics.median(yardsticks) if yardsticks else None,
            "ratio": ratio, "of": of, "must": must, "aim": aim, "held": holds(judged, must, better), "reached": holds(judged, aim, better),
            "min": min(values), "median": middle, "max": max(values), "rounds": len(values)} | extra


def skipped(name, why):
    """A row that could not be measured here; it is neither held nor missed."""
    return {"name": name, "value": None, "unit": "", "better": "less", "yardstick": None, "ratio": None, "of": "value", "must": None, "aim": None,
            "held": None, "reached": None, "min": None, "median": None, "max": None, "rounds": 0, "skipped": why}


def holds(value, limit, better):
    """Whether the limit is kept; None without a limit."""
    if limit is None:
        return None
    return value <= limit if better == "less" else value >= limit


# ---- rounds and statistics

def interleaved(context, contenders, rounds=None):
    """{name: callable} -> {name: [what it returned, one a round]}: every round runs each of them, in turn, so that a machine that drifts
    treats all alike."""
    found = {name: [] for name in contenders}
    for number in range(rounds or context.rounds):
        for name, work in contenders.items():
            found[name].append(work())
            context.say(f"round {number + 1}: {name}")
    return found


def percentile(values, share):
    """The value below which that share of them lies: percentile(times, 0.99)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(work, times):
    """Seconds of each of so many calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


# ---- what the kernel says of processes

def rss_anon(pid):
    """Bytes of memory of its own: not of files, the store's map among them."""
    text = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(text.split("RssAnon:")[1].split()[0])


def rss_peak(pid):
    """Bytes it had at most, files included (VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(text.split("VmHWM:")[1].split()[0])


def cpu_seconds(pid):
    """User and system time of all its threads, those that ended included, to 1/100 s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_exact(pid):
    """The same in nanoseconds as the scheduler counts, of the threads that live."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def store_bytes(directory):
    """What a station's directory takes on disk."""
    return sum(512 * path.stat().st_blocks for path in Path(directory).rglob("*") if path.is_file())


def until(condition, what, seconds=60):
    """Waits for a condition and returns what it gave; fails with `what`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return value


def which(program, *places):
    """The path of an installed program, or None; `places` are further folders, as /usr/lib/postgresql/15/bin."""
    for folder in os.environ["PATH"].split(":") + ["/usr/sbin", *places]:
        path = Path(folder) / program
        if os.access(path, os.X_OK):
            return str(path)
    return None


# ---- stations

@contextlib.contextmanager
def network(units, **more):
    """A Network of the harness, of which nothing is verified at the end: the stores are large, and the suites have done it."""
    from harness import Network  # needs the environment that the runner sets up
    net = Network(units, **more)
    try:
        yield net
    finally:
        net.close(verify=False)
        shutil.rmtree(net.dir, ignore_errors=True)


def county(towns, villages, root="C"):
    """Rows for Network: a county of so many towns that share so many villages."""
    codes = [f"{root}{town:02}" for town in range(1, towns + 1)]
    rows = [(root, "测试县", "county", "")] + [(code, f"{code}镇", "township", root) for code in codes]
    return rows + [(f"{codes[at % towns]}-{at:04}", f"{at}村", "village", codes[at % towns]) for at in range(villages)]


def month(number):
    """A month number of the store as text: 24312 is 2026-01."""
    return f"{number // 12}-{number % 12 + 1:02}"


def listens(path):
    """Whether a connection to that Unix socket is taken."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            return True
        except OSError:
            return False


def timed_start(station):
    """Starts its node; milliseconds from then until its control socket takes a connection."""
    began = time.monotonic()
    station.run(wait=False)
    while not listens(f"{station.dir}/control.sock"):
        if station.process.poll() is not None or time.monotonic() - began > 300:
            raise RuntimeError(f"{station} did not start: {station.tail()}")
        time.sleep(0.0005)
    return 1000 * (time.monotonic() - began)
