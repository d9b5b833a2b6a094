"""One record at a time, 200 a second: how long until it is durable at the county, acknowledged at the village, and receipted."""
import json
import subprocess

from bench import cpu_exact, percentile, row
from chain import COUNTY, ENTRY_BYTES, PATIENCE, TOWN, tool, tree
from harness import Network

WHAT = "one record at a time, 200 a second, through three tiers that flush each before they pass it on"
TARGETS = ["tests/bench/bench_held", "tests/bench/bench_pulse", "tests/bench/bench_villages", "tests/bench/bench_yardstick"]

RECORDS, RATE = 500, 200
SLICES = 4  # of a round: a machine that others use changes within seconds, so contenders take short turns
URGENT, AGGREGATE = 1, 4  # lanes


class Pulses:
    """A county and a township that stay, and for each run a village of its own."""

    def __init__(self, context):
        self.context, self.runs = context, 0
        stations = 2 * SLICES * context.rounds
        self.net = Network(tree(stations))
        self.top, self.town = self.net.chain(COUNTY, TOWN, leaf=False)
        self.town.stop()
        self.file = self.net.dir / "villages"
        context.call(tool(context, "villages"), "make", self.file, self.town.dir, stations, TOWN[:9])
        self.town.run()

    def measure(self, lane):
        directory = self.net.dir / f"village{self.runs}"
        directory.mkdir()
        village = subprocess.Popen([tool(self.context, "pulse"), self.file, str(self.runs), self.town.listen, directory, str(RECORDS), str(RATE), str(lane)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.runs += 1
        try:
            if village.stdout.readline() != "begin\n":
                raise RuntimeError("the village did not begin")
            return self.watch(village, lane)
        finally:
            village.kill()
            village.wait()

    def watch(self, village, lane):
        """With the county's store looked at, but for urgent records: there, receipts lie between them."""
        watcher = None
        if lane == AGGREGATE:
            there = json.loads(self.context.call(tool(self.context, "held"), self.top.dir))["batches"]
            watcher = subprocess.Popen([tool(self.context, "held"), self.top.dir, str(there + RECORDS), str(PATIENCE), "each"], stdout=subprocess.PIPE, text=True)
            watcher.stdout.readline()
        upper = [self.top.process.pid, self.town.process.pid]
        before = sum(map(cpu_exact, upper))
        village.stdin.write("go\n")
        village.stdin.flush()
        lines = [list(map(float, village.stdout.readline().split())) for _ in range(RECORDS)]
        found = {"cpu": 1000 * (sum(map(cpu_exact, upper)) - before) / RECORDS}
        found |= {name: [1000 * line[place] for line in lines] for place, name in enumerate(("written", "acknowledged", "receipt"), 1)}
        if watcher:
            at = [float(line) for line in watcher.communicate()[0].splitlines()[:RECORDS]]
            found["durable"] = [1000 * (there - line[0]) for there, line in zip(at, lines, strict=True)]
        return found

    def close(self):
        self.net.close(verify=False)


def yardstick(context):
    directory = context.directory / "yardstick"
    directory.mkdir()
    try:
        return json.loads(context.call(tool(context, "yardstick"), "single", directory, RECORDS, RATE, ENTRY_BYTES))
    finally:
        context.call("rm", "-rf", directory)


def share(found, name, part):
    return [percentile(one[name], part) for one in found]


def run(context):
    pulses, ours, urgent, bare = Pulses(context), [], [], []
    try:
        for number in range(SLICES * context.rounds):
            bare.append(yardstick(context))
            ours.append(pulses.measure(AGGREGATE))
            urgent.append(pulses.measure(URGENT))
            context.say(f"turn {number + 1}: durable at the county {percentile(ours[-1]['durable'], 0.5):.2f} ms, bare {bare[-1]['durable_p50_ms']:.2f}")
    finally:
        pulses.close()

    def of(name):
        return [one[name] for one in bare]
    upper_cpu = [1000 * (one["middle_cpu_s"] + one["top_cpu_s"]) / RECORDS for one in bare]
    context.note(f"Turns of {RECORDS:,} entries of {ENTRY_BYTES} bytes, each signed in a batch of its own. The yardstick flushes {row('', of('flush_ms'), 'ms', 'less')['value']:.2f} ms for each "
                 "at its three tiers together, as ours does: two flushes a commit. Processor time: township and county; the rest is network and waking.")
    return [
        row("durable at the county, p50", share(ours, "durable", 0.5), "ms", "less", of("durable_p50_ms"), 1.25, 1.1, of="ratio"),
        row("durable at the county, p99", share(ours, "durable", 0.99), "ms", "less", of("durable_p99_ms")),
        row("written at the village, p50", share(ours, "written", 0.5), "ms", "less"),
        row("acknowledged at the village, p50", share(ours, "acknowledged", 0.5), "ms", "less", None, 2.5, 2),
        row("acknowledged at the village, p99", share(ours, "acknowledged", 0.99), "ms", "less", None, 5, 4),
        row("urgent: the county's receipt at the village, p50", share(urgent, "receipt", 0.5), "ms", "less", of("back_p50_ms")),
        row("urgent: the county's receipt at the village, p99", share(urgent, "receipt", 0.99), "ms", "less", of("back_p99_ms")),
        row("flushes at all tiers", of("flush_ms"), "ms", "less"),
        row("processor time at the upper tiers", [one["cpu"] for one in ours], "ms", "less", upper_cpu),
    ]
