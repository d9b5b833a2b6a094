"""kill -9 of any station at any moment, while records are typed at all of them: what was acknowledged survives, once.

`kills.py --cycles N [--seed S]` runs as many as wanted; all chance but the machine's own comes from the seed, which is printed.
"""
import random
import sys
import time

from harness import Network, check, comment, county, run, wait_for
from ledger import Typist, all_arrived

CYCLES, SEED = 200, 1
EACH = 8        # cycles after which somebody must have been acknowledged again
LONGEST_S = 60  # for a start: the condition; what it took is printed
TREE = county(1, 1)


def taken(name, default):
    """An option of this program, taken out of what harness.run() reads."""
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    return value


def kill_one(pick, stations, slowest):
    """Kills a station somewhere inside a commit, a send, a receipt, a start; others go on. It starts again at once."""
    station = pick.choice(stations)
    until = time.perf_counter() + pick.random() * 0.05
    while time.perf_counter() < until:
        pass
    station.kill()
    began = time.monotonic()
    if pick.random() < 0.2:  # and once more while it starts
        station.run(wait=False)
        time.sleep(pick.random() * 0.03)
        station.kill()
    station.run()
    return max(slowest, time.monotonic() - began)


def test_fault_01_kill_9_at_any_moment_under_load():
    cycles, seed = CYCLES, SEED
    pick, slowest, began = random.Random(seed), 0, time.monotonic()
    with Network(TREE) as net:
        stations = net.chain("C", "C1", "C1-001")
        typists = [Typist(station, seed * 10 + number, size=1 + number) for number, station in enumerate(stations)]
        with typists[0], typists[1], typists[2]:
            for cycle in range(cycles):
                slowest = kill_one(pick, stations, slowest)
                check(slowest < LONGEST_S, "a start took", slowest)
                if cycle % EACH == EACH - 1:
                    pick.choice(typists).more(1)
        spent = time.monotonic() - began
        for station in stations[1:]:
            wait_for(station.live, "links again")
        total = all_arrived(TREE, typists, stations)
        comment(f"seed {seed}: {cycles} kills in {spent:.0f} s, slowest start {slowest:.2f} s; {sum(typist.tries for typist in typists)} commands, "
                f"{sum(len(typist.acknowledged) for typist in typists)} records acknowledged, {total} kept and counted")


CYCLES, SEED = taken("--cycles", CYCLES), taken("--seed", SEED)
run(test_fault_01_kill_9_at_any_moment_under_load)
