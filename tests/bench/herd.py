"""1,300 villages whose township was away come back to it at once, each with a day's work.

The villages are those of villages.c: production code, their stores in memory, a few processes. The township is a node as it is shipped. It
is killed; the villages write meanwhile; when it has been away for so long that each has given up calling often, it starts again. The clock
runs from that start.
"""
import json
import subprocess
import time

from bench import row, rss_anon, until

WHAT = "1,300 villages come back at once, each with a day's 50 entries in 10 batches"
TARGETS = ["tests/bench/bench_held", "tests/bench/bench_villages"]

VILLAGES, ENTRIES, BATCH, CELLS = 1300, 50, 5, 20
PROCESSES = 4   # that they share
AWAY = 30       # seconds: by then each waits as long between two calls as it ever does
PATIENCE = 300  # seconds
COUNTY, TOWN = "321081000000", "321081100000"


def tree():
    return [(COUNTY, "仪征市", "county", ""), (TOWN, "真州镇", "township", COUNTY)] + \
        [(f"{TOWN[:9]}{number:03}", f"第{number}村", "village", TOWN) for number in range(1, VILLAGES + 1)]


def start_villages(context, net, town):
    town.stop()
    file = net.dir / "villages"
    context.call(context.build / "tests/bench/bench_villages", "make", file, town.dir, VILLAGES, TOWN[:9])
    town.run()
    bounds = [VILLAGES * i // PROCESSES for i in range(PROCESSES + 1)]
    return [subprocess.Popen([context.build / "tests/bench/bench_villages", "run", file, str(first), str(last - first), town.listen, str(ENTRIES), str(BATCH), str(CELLS)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for first, last in zip(bounds, bounds[1:])]


def hear(drivers, word):
    for driver in drivers:
        found = driver.stdout.readline().strip()
        if found != word:
            raise RuntimeError(f"a process of villages said {found!r} for {word!r}")


class Waiting:
    """A station's store as `bench_held` sees it: when it holds so many batches more."""

    def __init__(self, context, station, batches):
        now = json.loads(context.call(context.build / "tests/bench/bench_held", station.dir))["batches"]
        self.wanted = now + batches
        self.process = subprocess.Popen([context.build / "tests/bench/bench_held", str(station.dir), str(self.wanted), str(PATIENCE)], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def over(self):
        return self.process.poll() is not None

    def end(self):
        found = json.loads(self.process.communicate()[0])
        if found["batches"] < self.wanted:
            raise RuntimeError(f"{found['batches']} batches came of {self.wanted}")
        return found["at"]


def live(town):
    return sum(link["state"] == "live" for link in town.status()["links"] if link["direction"] != "up")


def measure(context, net):
    top, town = net.chain(COUNTY, TOWN, leaf=False)
    drivers = start_villages(context, net, town)
    try:
        hear(drivers, "linked")
        context.say(f"{VILLAGES} villages are linked; the township takes {rss_anon(town.process.pid) / 2**20:.0f} MiB")
        town.kill()
        away = time.monotonic()
        for driver in drivers:
            driver.stdin.write("write\n")
            driver.stdin.flush()
        hear(drivers, "ready")
        time.sleep(max(0, AWAY - (time.monotonic() - away)))
        batches = VILLAGES * -(-ENTRIES // BATCH)
        at_town, at_top = Waiting(context, town, batches), Waiting(context, top, batches)
        began, most = time.monotonic(), 0
        town.run(wait=False)
        while not (at_town.over() and at_top.over()):
            most = max(most, rss_anon(town.process.pid))
            time.sleep(0.05)
        until(lambda: live(town) == VILLAGES, "every link is live", PATIENCE)
        return {"town": at_town.end() - began, "top": at_top.end() - began, "mib": max(most, rss_anon(town.process.pid)) / 2**20}
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()


def run(context):
    from harness import Network
    found = []
    for number in range(min(context.rounds, 2)):  # a minute and a half each
        with Network(tree()) as net:
            found.append(measure(context, net))
            net.close(verify=False)
            net.stations.clear()
        context.say(f"round {number + 1}: {found[-1]}")
    return [
        row("until all of it is durable at the township", [round_["town"] for round_ in found], "s", "less", must=30, aim=20),
        row("until all of it is durable at the county", [round_["top"] for round_ in found], "s", "less"),
        row("the township's memory (RssAnon), most", [round_["mib"] for round_ in found], "MiB", "less", must=128),
    ]
