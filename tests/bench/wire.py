"""What the line carries beyond the payload, and what is urgent behind 100 MB on a slow one.

Counted is what TCP carries on the connection between two stations, both ways: CURVE, ZMTP, acknowledgements, receipts and pings too, but not
the handshake. Payload is the content of the entries signed at the village, as they stand in its store.
"""
import json
import time

from bench import percentile, row, until

WHAT = "bytes on the line beyond the payload, and an urgent record behind 100 MB at 64 kbit/s"
TARGETS = ["tests/bench/bench_backlog", "tests/bench/bench_content"]

CELLS = 20000
LIVE = 60             # records of a round, one after the other
BACKLOG = 20000       # entries of a round
SLOW = 8000           # bytes a second: 64 kbit/s, each way
BULK = 100 * 1000**2  # bytes queued behind that line
BULK_ENTRY = 83       # bytes of a backlog's entry in a body
WARM = 120 * 1000     # bytes over the slow line before the first urgent record: 15 s of it
URGENT = 12


def nothing_waits(station):
    up = [link for link in station.status()["links"] if link["direction"] == "up"]  # none yet when it has just been started
    return up and up[0]["state"] == "live" and up[0]["backlog_rows"] == 0


class Scene:
    """A county, a township, a village; both lines can be counted and slowed."""

    def __init__(self, context, net):
        from proxy import Line
        self.context = context
        self.top = net.init("C").run()
        self.town = net.join(self.top, "C1", serves=True)
        self.upper = net.proxy(self.town, Line)
        self.town.run()
        self.village, self.other = net.join(self.town, "C1-001"), net.join(self.town, "C1-002")
        self.lower = net.proxy(self.village, Line)
        self.lines = {"village": self.lower, "township": self.upper}

    def content(self):
        """Batches, entries and payload that the village has signed."""
        return json.loads(self.context.call(self.context.build / "tests/bench/bench_content", self.village.dir))

    def backlog(self, entries, batch):
        self.context.call(self.context.build / "tests/bench/bench_backlog", self.village.dir, entries, batch, CELLS)

    def passed(self):
        return {name: line.up.passed + line.down.passed for name, line in self.lines.items()}

    def quiet(self):
        """Nothing waits anywhere, and the lines are still."""
        until(lambda: nothing_waits(self.village) and nothing_waits(self.town), "all has gone up")
        before = None
        while before != (before := self.passed()):
            time.sleep(0.3)
        return before

    def beyond(self, work):
        """{line: bytes beyond the payload}, and what the village signed, while work() and all that follows from it went over."""
        had, before = self.content(), self.quiet()
        work()
        after, has = self.quiet(), self.content()
        signed = {key: has[key] - had[key] for key in has}
        return {name: after[name] - before[name] - signed["content"] for name in after}, signed

    def again(self, entries=0, batch=0):
        """The bytes of a new connection over which so many entries go that waited for it."""
        self.village.stop()
        had, before = self.content(), self.passed()
        if entries:
            self.backlog(entries, batch)
        has = self.content()
        self.village.run()
        after = self.quiet()
        return after["village"] - before["village"], {key: has[key] - had[key] for key in has}


def typing(scene, net):
    """name -> one record typed at the village."""
    from model import today
    day, number = today(), [1000]
    path = net.dir / "population.csv"

    def entered():
        number[0] += 1
        path.write_text(f"indicator,unit,period,value\npopulation,C1-001,{day.year},{number[0]}\n")
        scene.village.importing(path)

    def lead():
        scene.village.record("lead", {"day": day.isoformat(), "source": "police", "outcome": "enter"})
    return {"one entry": entered, "a lead": lead}


def live(context, scene, kinds):
    """name -> [{line: bytes a record}], one a round; and what a record of that kind is."""
    found, made = {name: [] for name in kinds}, {}
    for number in range(context.rounds):
        for name, work in kinds.items():
            bytes_beyond, signed = scene.beyond(lambda work=work: [work() for _ in range(LIVE)])
            found[name].append({line: count / LIVE for line, count in bytes_beyond.items()})
            made[name] = signed
        context.say(f"round {number + 1}: live")
    return found, made


def backlogs(context, scene):
    """batch -> bytes an entry, one a round."""
    found = {100: [], 1000: []}
    for number in range(context.rounds):
        empty, _ = scene.again()
        for batch, values in found.items():
            total, signed = scene.again(BACKLOG, batch)
            values.append((total - empty - signed["content"]) / signed["entries"])
        context.say(f"round {number + 1}: backlogs")
    return found


def county_since(village, record):
    """When the county had all of the record, by its receipts (one clock on this machine); None: they are not all here."""
    since = [tier["since_ms"] for batch in village.cli("receipts", "--json").json if batch["record"] == record
             for tier in batch["tiers"] if tier["tier"] == "county"]
    return max(since) if since and None not in since else None


def urgent(context, scene):
    """Seconds from typing an urgent record at the village until the county has it, and until the county's receipt is back."""
    from model import today
    village, line = scene.village, scene.lower
    village.stop()
    began = time.monotonic()
    scene.backlog(BULK // BULK_ENTRY, 1000)
    context.say(f"{BULK // BULK_ENTRY:,} entries wait, written in {time.monotonic() - began:.0f} s")
    line.up.rate = line.down.rate = SLOW
    start = line.up.passed
    village.run()
    until(lambda: line.up.passed - start > WARM, "the slow line is full", 120)
    waiting, arrived, receipted = village.up()["backlog_rows"], [], []
    for number in range(URGENT):
        began, began_ms = time.monotonic(), 1000 * time.time()
        record = village.record("report", {"day": today().isoformat(), "by": "school", "facts": "孩子身上有伤", "told_by": "张老师"})[0]["record"]
        since_ms = until(lambda record=record: county_since(village, record), "the county's receipts are here", 120)
        receipted.append(time.monotonic() - began)
        arrived.append((since_ms - began_ms) / 1000)
        context.say(f"urgent {number + 1}: {arrived[-1]:.2f} s, its receipts {receipted[-1]:.2f} s")
        time.sleep(0.37 * (number % 4))  # at other moments of what the bulk does
    left = village.up()["backlog_rows"]
    context.note(f"urgent: {waiting} batches of 1,000 entries waited when it began, {left} when it ended; {line.up.passed - start:,} bytes had gone up")
    return arrived, receipted


def rows(live_bytes, made, backlog_bytes, arrived, receipted):
    def per(kind, line):
        return [found[line] for found in live_bytes[kind]]
    lead = made["a lead"]
    parts = f"{lead['entries'] / LIVE:.0f} entries in {lead['batches'] / LIVE:.0f} batches"
    return [
        row("a live record, village to township", per("one entry", "village"), "B", "less", must=400, aim=300),
        row("the same, township to county", per("one entry", "township"), "B", "less"),
        row(f"a typed lead ({parts})", per("a lead", "village"), "B", "less"),
        row("an entry of a backlog, batches of 100", backlog_bytes[100], "B", "less", must=60, aim=40),
        row("the same, batches of 1,000", backlog_bytes[1000], "B", "less"),
        row("urgent behind 100 MB at 64 kbit/s, at the county, p50", percentile(arrived, 0.5), "s", "less"),
        row("the same, the slowest", max(arrived), "s", "less", must=5, aim=3, times=arrived),
        row("the county's receipt at the village, p50", percentile(receipted, 0.5), "s", "less"),
    ]


def run(context):
    from harness import Network, county
    with Network(county(1, 2)) as net:
        scene = Scene(context, net)
        scene.backlog(1000, 100)  # the first word on every group is said
        scene.village.run()
        scene.other.run()
        scene.quiet()
        kinds = typing(scene, net)
        for work in kinds.values():
            work()
        found = rows(*live(context, scene, kinds), backlogs(context, scene), *urgent(context, scene))
        scene.lower.heal()
        net.close(verify=False)  # a matter of the tests
        net.stations.clear()
    return found
