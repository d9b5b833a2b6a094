"""What a station takes that has nothing to do: the county of deploy/quickstart, 216 nodes on this machine, after a made-up year."""
import argparse
import asyncio
import signal
import statistics
import sys
import time

import bench
from bench import cpu_exact, row, rss_anon

WHAT = "216 nodes of the quickstart's county with nothing to do: memory, start, processor time"
IDLE_SECONDS = 12  # more than two heartbeats of each link
CALM_SECONDS, CALM_TIMES = 2, 4
CALM_SHARE = 0.5  # of a core: above it something is still being sent
DEPLOY = bench.SOURCE / "deploy"


def make(context):
    sys.path.insert(0, str(DEPLOY))
    import county
    from screen import Counts

    class Silent:
        def __getattr__(self, name):
            return lambda *_: None
    options = argparse.Namespace(once=True, stations=county.WHOLE, dir=context.directory, keep=True, binary=context.sanji)
    return county.County(options, context.directory / "stations", Silent(), Counts())


def used(nodes):
    """Processor seconds of all nodes, to the nanosecond."""
    return sum(cpu_exact(process.pid) for process in nodes.values())


async def idle_share(nodes, seconds):
    before, began = used(nodes), time.monotonic()
    await asyncio.sleep(seconds)
    return (used(nodes) - before) / (time.monotonic() - began)


async def calm(nodes):
    """Waits until what was recorded has arrived everywhere, and what follows from it is done: it has been no calmer for a while."""
    end, least, since = time.monotonic() + 120, CALM_SHARE, 0
    while since < CALM_TIMES:
        share = await idle_share(nodes, CALM_SECONDS)
        since = since + 1 if 0.9 * least <= share < CALM_SHARE else 0
        least = min(share, least)
        if time.monotonic() > end:
            raise RuntimeError("216 nodes don't come to rest")


async def start_ms(context, county, place):
    """Stops that node and starts it again: milliseconds until its control socket takes a connection."""
    process = county.nodes.processes.pop(place)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    began = time.monotonic()
    started = await asyncio.create_subprocess_exec(str(context.sanji), "run", str(place), stdin=asyncio.subprocess.DEVNULL,
                                                   stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    while not bench.listens(f"{place}/control.sock"):
        if started.returncode is not None or time.monotonic() - began > 30:
            raise RuntimeError(f"{place} did not start")
        await asyncio.sleep(0.0005)
    took = 1000 * (time.monotonic() - began)
    started.send_signal(signal.SIGTERM)
    await started.wait()
    await county.nodes.start(place)
    return took


async def measure(context, county):
    county.directory.mkdir()
    await county.build()
    context.say(f"{len(county.nodes.processes)} nodes run")
    await county.record_all()
    context.say("a year is recorded")
    nodes = county.nodes.processes
    await calm(nodes)
    found = {"idle": [], "village_start": [], "county_start": []}
    village, top = county.place(county.villages[0]), county.place(county.county)
    for number in range(context.rounds):
        found["idle"].append(100 * await idle_share(nodes, IDLE_SECONDS / context.rounds))
        context.say(f"round {number + 1}: {found['idle'][-1]:.2f} % of a core")
    found["villages"] = [rss_anon(nodes[county.place(station)].pid) / (1 << 20) for station in county.villages]
    found["towns"] = [rss_anon(nodes[county.place(station)].pid) / (1 << 20) for station in county.towns]
    found["county"] = rss_anon(nodes[top].pid) / (1 << 20)
    found["all"] = county.nodes.memory_bytes() / (1 << 20)
    for _ in range(context.rounds * 3):
        found["village_start"].append(await start_ms(context, county, village))
        found["county_start"].append(await start_ms(context, county, top))
    return found


def run(context):
    county = make(context)
    try:
        found = asyncio.run(measure(context, county))
    finally:
        county.stop()
    return [row("a village's RssAnon, idle", statistics.median(found["villages"]), "MiB", "less", must=8, aim=6, largest=max(found["villages"]),
                least=min(found["villages"])),
            row("the largest village's", max(found["villages"]), "MiB", "less"),
            row("a town's RssAnon, idle", statistics.median(found["towns"]), "MiB", "less"),
            row("the county's RssAnon, 215 stations below it", found["county"], "MiB", "less"),
            row("all 216, shared pages in proportion (Pss)", found["all"], "MiB", "less"),
            row("the program on disk", context.sanji.stat().st_size / (1 << 20), "MiB", "less", must=3, aim=2.5),
            row("a village's start to serving", found["village_start"], "ms", "less", must=100, aim=50),
            row("the county's start to serving", found["county_start"], "ms", "less"),
            row("idle processor time of all 216", found["idle"], "% of a core", "less", must=5, aim=2)]
