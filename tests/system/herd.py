"""Two hundred villages of one township, each with something to say, after the township was away: all come back, and all of it arrives."""
import time
from concurrent.futures import ThreadPoolExecutor

from harness import Network, Station, check, comment, county, equal, run, sanji, wait_for
from model import month_name, month_of, today

VILLAGES, BEFORE, MEANWHILE = 200, 5, 7
PATIENCE = 150  # seconds: this test is about arriving, not about speed
MONTH = month_name(month_of(today()))
LEADS = f'{{"day": "{today().isoformat()}", "source": "police", "outcome": "enter"}}'


def several(work, things):
    """Two hundred commands, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, things))


def join_all(net, town, units):
    tokens = town.invite(*units)

    def join(pair):
        station = Station(net, pair[0], town, False)
        station.unit = pair[0]
        sanji("join", station.dir, pair[1])
        return station
    for station in several(join, zip(units, tokens)):
        net.stations[station.name] = station
    return [net.stations[unit] for unit in units]


def record(station, number):
    station.record("lead", "[" + ", ".join([LEADS] * number) + "]")


def test_fault_55_two_hundred_villages_reconnect_at_once():
    tree = county(1, VILLAGES)
    with Network(tree) as net:
        top, town = net.chain("C", "C1", leaf=False)
        villages = join_all(net, town, [code for code, _, tier, _ in tree if tier == "village"])
        equal(len(villages), VILLAGES, "villages")
        several(lambda station: record(station, BEFORE), villages)  # typed before any node runs
        began = time.monotonic()
        for station in villages:
            station.run(wait=False)
        wait_for(lambda: top.value("leads", MONTH) == VILLAGES * BEFORE, "every village's first leads", PATIENCE)
        comment(f"{VILLAGES} villages started, {VILLAGES * BEFORE:,} leads at the county: {time.monotonic() - began:.1f} s")
        wait_for(lambda: sum(link["state"] == "live" for link in town.status()["links"]) == VILLAGES + 1, "every link", PATIENCE)

        town.kill()
        several(lambda station: record(station, MEANWHILE), villages)
        equal(top.value("leads", MONTH), VILLAGES * BEFORE, "the county hears nothing")
        began = time.monotonic()
        town.run()
        total = VILLAGES * (BEFORE + MEANWHILE)
        wait_for(lambda: top.value("leads", MONTH) == total, "every lead at the county", PATIENCE)
        wait_for(lambda: sum(link["state"] == "live" for link in town.status()["links"]) == VILLAGES + 1, "every link again", PATIENCE)
        comment(f"all {VILLAGES} back and {VILLAGES * MEANWHILE:,} leads more at the county: {time.monotonic() - began:.1f} s after the township's return")
        rows = top.figures("leads", MONTH, "C1", by="unit")["rows"]
        equal({row["subtree"] or 0 for row in rows if not row["itself"]}, {BEFORE + MEANWHILE}, "each village has all of its own, once")
        check(all(station.alive for station in villages), "every village lives")


run(test_fault_55_two_hundred_villages_reconnect_at_once)
