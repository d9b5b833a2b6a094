"""A backlog of statements on its way village -> township -> county: entries a second until the county has all of them, durable and applied."""
import json
import re
import subprocess
import time

from bench import cpu_exact, row, until
from harness import Network

WHAT = "a backlog through three tiers: CURVE, verified and flushed at each, figures summed at each"
TARGETS = ["tests/bench/bench_backlog", "tests/bench/bench_held", "tests/bench/bench_villages", "tests/bench/bench_yardstick"]

ENTRIES, CELLS = 500_000, 20_000
ENTRY_BYTES = 90        # of a patch of one cell as it lies in a body: the yardstick moves as many
PROCESSES = 4           # that many villages share
PATIENCE = 300          # seconds
COUNTY, TOWN = "321081000000", "321081100000"


def tool(context, name):
    return context.build / "tests/bench" / f"bench_{name}"


def tree(villages):
    return [(COUNTY, "仪征市", "county", ""), (TOWN, "真州镇", "township", COUNTY)] + \
        [(f"{TOWN[:9]}{number:03}", f"第{number}村", "village", TOWN) for number in range(1, villages + 1)]


class Waiting:
    """The county's store as `bench_held` sees it: when it will hold so many batches more."""

    def __init__(self, context, station, batches):
        self.context, self.station = context, station
        self.before = json.loads(context.call(tool(context, "held"), station.dir))
        self.wanted = self.before["batches"] + batches
        self.process = subprocess.Popen([tool(context, "held"), station.dir, str(self.wanted), str(PATIENCE)], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self, entries):
        """When all was there; and it must have counted."""
        found = json.loads(self.process.communicate()[0])
        after = json.loads(self.context.call(tool(self.context, "held"), self.station.dir))
        if found["batches"] < self.wanted or after["applied"] - self.before["applied"] < entries:
            raise RuntimeError(f"of {entries} entries the county has applied {after['applied'] - self.before['applied']}")
        return found["at"]


def result(entries, seconds, cpu_before, cpu_after):
    return {"per_s": entries / seconds, "seconds": seconds, "cpu_us": {name: 1e6 * (cpu_after[name] - cpu_before[name]) / entries for name in cpu_after}}


class One:
    """One village with a node of its own, which writes its backlog while it does not run. The clock runs from the moment its link is live."""

    def __init__(self, context, batch):
        self.context, self.batch = context, batch
        self.net = Network(tree(1))
        self.top, self.town = self.net.chain(COUNTY, TOWN, leaf=False)
        self.village = self.net.join(self.town, f"{TOWN[:9]}001").run()
        self.village.settled()  # what it has to say of itself
        until(lambda: self.village.live() and self.village.up()["backlog_rows"] == 0, "the village is quiet")
        self.village.stop()

    def backlog(self, entries):
        return json.loads(self.context.call(tool(self.context, "backlog"), self.village.dir, entries, self.batch, CELLS))

    def measure(self):
        village, log = self.village, self.village.log
        made = self.backlog(ENTRIES)
        entries = made["full"] + made["entries"]
        waiting = Waiting(self.context, self.top, 1 + -(-made["entries"] // self.batch))
        log.write_text("")
        before = self.cpu()
        village.run(wait=False)
        until(lambda: re.search(r"link parent \w+: live", log.read_text()), "the link is live")
        began = time.monotonic()
        ended = waiting.end(entries)
        after = self.cpu() | {"village": cpu_exact(village.process.pid)}
        village.stop()
        return result(entries, ended - began, before | {"village": 0}, after)

    def cpu(self):
        return {"county": cpu_exact(self.top.process.pid), "township": cpu_exact(self.town.process.pid)}

    def close(self):
        self.net.close(verify=False)


class Many:
    """Villages that a few processes drive: all are linked, their township stands still while they write, and the clock runs from when it
    goes on. A network of its own for each round, as what they hold is in memory."""

    def __init__(self, context, origins, batch):
        self.context, self.origins, self.batch = context, origins, batch
        self.entries = ENTRIES // origins

    def measure(self):
        net = Network(tree(self.origins))
        try:
            top, town = net.chain(COUNTY, TOWN, leaf=False)
            town.stop()
            file = net.dir / "villages"
            self.context.call(tool(self.context, "villages"), "make", file, town.dir, self.origins, TOWN[:9])
            town.run()
            drivers = self.drive(file, town)
            try:
                return self.run(top, town, drivers)
            finally:
                for driver in drivers:
                    driver.kill()
                    driver.wait()
        finally:
            net.close(verify=False)

    def drive(self, file, town):
        bounds = [self.origins * i // PROCESSES for i in range(PROCESSES + 1)]
        drivers = [subprocess.Popen([tool(self.context, "villages"), "run", file, str(first), str(last - first), town.listen, str(self.entries),
                                     str(self.batch), str(CELLS // self.origins)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                   for first, last in zip(bounds, bounds[1:])]
        self.hear(drivers, "linked")
        return drivers

    @staticmethod
    def hear(drivers, word):
        for driver in drivers:
            found = driver.stdout.readline().strip()
            if found != word:
                raise RuntimeError(f"a process of villages said {found!r} for {word!r}")

    def run(self, top, town, drivers):
        waiting = Waiting(self.context, top, self.origins * -(-self.entries // self.batch))
        town.pause()
        for driver in drivers:
            driver.stdin.write("write\n")
            driver.stdin.flush()
        self.hear(drivers, "ready")

        def cpu():
            return {"county": cpu_exact(top.process.pid), "township": cpu_exact(town.process.pid), "villages": sum(cpu_exact(driver.pid) for driver in drivers)}
        before = cpu()
        town.resume()
        began = time.monotonic()
        ended = waiting.end(self.entries * self.origins)
        return result(self.entries * self.origins, ended - began, before, cpu())

    def close(self):
        pass


def yardstick(context, batch, origins, counters):
    directory = context.directory / "yardstick"
    directory.mkdir()
    try:
        found = json.loads(context.call("sh", "-c", 'ulimit -n $(ulimit -Hn); exec "$@"', "sh", tool(context, "yardstick"), "backlog", directory, ENTRIES, batch,
                                        ENTRY_BYTES, CELLS, origins, int(counters)))
    finally:
        context.call("rm", "-rf", directory)
    found["cpu_us"] = {name: 1e6 * found[f"{name}_cpu_s"] / ENTRIES for name in ("leaf", "middle", "top")}
    return found


def spent(found):
    """Processor time an entry, all tiers, in each round."""
    return [sum(one["cpu_us"].values()) for one in found]


def compare(context, name, ours, batch, origins, musts):
    found = {"ours": [], "bare": [], "counting": []}
    try:
        for number in range(context.rounds):
            found["bare"].append(yardstick(context, batch, origins, False))
            found["ours"].append(ours.measure())
            found["counting"].append(yardstick(context, batch, origins, True))
            context.say(f"round {number + 1}, {name}: " + ", ".join(f"{kind} {one[-1]['per_s']:,.0f}/s {spent(one)[-1]:.2f} us" for kind, one in found.items()))
    finally:
        ours.close()
    rates = {kind: [one["per_s"] for one in each] for kind, each in found.items()}
    entry = row(name, rates["ours"], "entries/s", "more", rates["counting"], *musts.get("rate", ()), origins=origins, batch=batch)
    entry |= {"entries_per_s": entry["value"], "yardstick_per_s": row("", rates["bare"], "", "more")["value"], "yardstick_counters_per_s": entry["yardstick"],
              "rounds_of": found}
    rows = [entry]
    if "ratio" in musts:
        rows.append(row(f"{name}, over the yardstick that counts", rates["ours"], "entries/s", "more", rates["counting"], *musts["ratio"], of="ratio"))
    rows.append(row(f"{name}, over the yardstick that does not", rates["ours"], "entries/s", "more", rates["bare"]))
    rows.append(row(f"{name}, processor time an entry", spent(found["ours"]), "us", "less", spent(found["counting"])))
    return rows


def run(context):
    context.note(f"{ENTRIES:,} patches of one cell over {CELLS:,} cells, {ENTRY_BYTES} bytes each in their batches; batches of 1,000 from one origin, of 100 from many. "
                 "All tiers share this machine's processors, and so do the villages of the rows with many origins.")
    rows = compare(context, "1 origin", One(context, 1000), 1000, 1, {"rate": (250_000, 400_000), "ratio": (0.5, 0.8)})
    rows += compare(context, "1 origin, batches of 100", One(context, 100), 100, 1, {})
    rows += compare(context, "200 origins", Many(context, 200, 100), 100, 200, {})
    return rows + compare(context, "1,300 origins", Many(context, 1300, 100), 100, 1300, {"rate": (150_000, 250_000)})
