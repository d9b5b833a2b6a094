"""What stations acknowledged, kept outside of them: leads, typed in one after the other, while anything happens to the nodes."""
import json
import random
import subprocess
import threading
from collections import Counter

from harness import SANJI, Failed, check, environment, equal, wait_for
from model import Model, month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
SOURCES = ("police", "education", "health")
CHECK_MAX = 400  # records asked about in one command


def lead(source):
    return {"day": DAY, "source": source, "outcome": "enter"}


class Typist:
    """Types leads into one station without pause, from a thread of its own, and keeps what was acknowledged."""

    def __init__(self, station, seed=0, size=1):
        self.station, self.pick, self.size = station, random.Random(seed), size
        self.acknowledged = {}   # record -> source
        self.maybe = Counter()   # source -> typed, without an answer
        self.refused = Counter()
        self.tries, self.last_refusal = 0, ""
        self.trouble = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def type(self):
        """One command. Exit 1 says that nothing is known to be kept: it may be, when the node died before its answer."""
        sources = [self.pick.choice(SOURCES) for _ in range(self.size)]
        text = json.dumps([lead(source) for source in sources])
        self.tries += 1
        done = subprocess.run([SANJI, "record", "lead", "-d", str(self.station.dir), "-f", "-", "--json"], input=text.encode(), timeout=120,
                              capture_output=True, env=environment(days=self.station.days), check=False)
        if done.returncode == 0:
            for record, source in zip(json.loads(done.stdout)["records"], sources):
                self.acknowledged[record["record"]] = source
            return True
        if done.returncode != 1:
            raise Failed(f"{self.station}: exit {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
        error = json.loads(done.stdout)["error"]
        self.last_refusal = error["message"] + " / " + error["action"]
        self.refused[error["code"]] += 1
        self.maybe.update(sources)
        return False

    def _run(self):
        try:
            while not self._over.is_set():
                self.type()
        except Exception as trouble:  # told where the test waits
            self.trouble = trouble

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self._over.set()
        self._thread.join()
        if kind is None and self.trouble:
            raise self.trouble

    def more(self, number, seconds=60):
        """Waits until so many more are acknowledged."""
        wanted = len(self.acknowledged) + number

        def there():
            if self.trouble:
                raise self.trouble
            return len(self.acknowledged) >= wanted
        wait_for(there, f"{number} more records at {self.station}; refused: {dict(self.refused)} {self.last_refusal}", seconds)


def kept(typist):
    """{source: number} that the typist's station holds: everything acknowledged, and of what had no answer each once or not."""
    station = typist.station
    equal(len(typist.acknowledged), len(set(typist.acknowledged)), "acknowledged records")
    known = list(typist.acknowledged.items())
    for at in range(0, len(known), CHECK_MAX):
        part = known[at:at + CHECK_MAX]
        found = station.record("lead", [{**lead(source), "record": record} for record, source in part], check_only=True)
        equal(len(found), len(part), f"acknowledged records that {station} knows")
    sure = Counter(typist.acknowledged.values())
    numbers = {source: value(station, station.unit, source, "own") for source in SOURCES}
    for source in SOURCES:
        check(sure[source] <= numbers[source] <= sure[source] + typist.maybe[source], station, source, ": holds", numbers[source],
              "acknowledged", sure[source], "without an answer", typist.maybe[source])
    equal(sum(numbers.values()), station.status()["records"], f"records of {station}, each counted once")
    return numbers


def value(station, unit, source, which="subtree"):
    return station.value("leads_by_source", MONTH, unit, where=(f"source={source}",), which=which)


def all_arrived(tree, typists, above, seconds=120):
    """Every record that a station kept is in the figures of every station above it, once, as the model works them out."""
    model, total = Model(tree), 0
    for typist in typists:
        for source, number in kept(typist).items():
            total += number
            for _ in range(number):
                model.add("lead", typist.station.unit, lead(source))
    for station in above:
        def agrees(station=station):
            for source in SOURCES:
                wanted = model.value("leads_by_source", station.unit, MONTH, {"source": source}.items())
                equal(value(station, station.unit, source), wanted, f"{station}: leads by {source}")
            return True
        wait_for(agrees, f"all at {station}", seconds)
    return total
