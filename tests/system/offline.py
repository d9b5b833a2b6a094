"""Nodes that are away, die, stand still, or hang on a line that keeps breaking: nothing acknowledged is lost, nothing counts twice."""
import random
import threading
import time

from harness import Network, Failed, check, comment, county, equal, run, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
LEAD = {"day": DAY, "source": "police", "outcome": "enter"}
UNITS = county(1, 2)


def arrived(station, number, seconds=60):
    wait_for(lambda: station.value("leads", MONTH) == number, f"{number} leads at {station}", seconds)


def test_a_village_alone_records_500_and_catches_up():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001").run()
        wait_for(village.live, "the link")
        town.stop()
        wait_for(lambda: not village.live(), "the line is down")
        for _ in range(10):
            village.record("lead", [LEAD] * 50)
        equal(village.value("leads", MONTH), 500, "its own figures are whole")
        equal(top.value("leads", MONTH), 0, "nobody else has them")
        check(village.up()["state"] != "live" and village.status()["state"] == "ready", "its state is said")
        town.run()
        for station in (town, top):
            arrived(station, 500)
        wait_for(lambda: village.up()["backlog_rows"] == 0, "nothing waits")


def test_fault_54_records_without_a_node_travel_when_it_starts():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001")
        for _ in range(20):
            village.record("lead", [LEAD] * 5)
        equal((village.value("leads", MONTH), village.status()["running"]), (100, False), "typed into the directory")
        village.run()
        arrived(top, 100)


def test_fault_50_a_parent_away_for_five_thousand_records():
    for how in ("stop", "kill"):
        with Network(UNITS) as net:
            top, town = net.chain("C", "C1", leaf=False)
            village = net.join(town, "C1-001").run()
            village.record("lead", LEAD)
            arrived(top, 1)
            getattr(town, how)()
            for _ in range(10):
                village.record("lead", [LEAD] * 500)
            began = time.monotonic()
            town.run()
            arrived(top, 5001)
            comment(f"5,000 records at the county {time.monotonic() - began:.1f} s after the township's return ({how})")
            equal(town.value("leads", MONTH, which="own"), 0, "none is the township's own")


class Ledger:
    """What the village acknowledged, kept outside of it."""

    def __init__(self, village):
        self.village, self.acknowledged, self.tried = village, [], 0

    def type_one(self):
        self.tried += 1
        result = self.village.cli("record", "lead", "-f", "-", "--json", stdin='[{"day": "%s", "source": "police", "outcome": "enter"}]' % DAY, code=None)
        check(result.code in (0, 1), result)
        if result.code == 0:
            self.acknowledged += [record["record"] for record in result.json["records"]]
        return result.code == 0

    def all_there(self):
        """Every acknowledged record can be corrected (only checked): the program knows it; and each counts once."""
        known = self.village.record("lead", [{**LEAD, "record": record} for record in self.acknowledged], check_only=True)
        equal(len(known), len(self.acknowledged), "acknowledged records that are there")
        kept = self.village.status()["records"]
        check(len(set(self.acknowledged)) == len(self.acknowledged) <= kept <= self.tried, "kept:", kept, "acknowledged:", len(self.acknowledged), "tried:", self.tried)
        equal(self.village.value("leads", MONTH), kept, "each record counts once")
        return kept


def test_fault_01_kill_9_of_village_and_township_twenty_times_under_load():
    """Records are typed without pause by another process; each kill falls at a random moment of one being typed."""
    pick = random.Random(20)
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001").run()
        ledger = Ledger(village)
        over, troubles = threading.Event(), []

        def typing():
            while not over.is_set():
                try:
                    ledger.type_one()
                except Failed as failed:
                    troubles.append(failed)
                    return
        typist = threading.Thread(target=typing)
        typist.start()
        try:
            for turn in range(20):
                victim = (village, town)[turn % 2]
                wanted = len(ledger.acknowledged) + pick.randrange(1, 8)
                wait_for(lambda: len(ledger.acknowledged) >= wanted or troubles, "records are taken")
                until = time.perf_counter() + pick.random() * 0.02  # somewhere inside a commit, a send, a receipt
                while time.perf_counter() < until:
                    pass
                victim.kill()
                began = time.monotonic()
                victim.run()
                check(time.monotonic() - began < 5, "a restart takes less than five seconds")
        finally:
            over.set()
            typist.join()
        check(not troubles, *troubles)
        kept = ledger.all_there()
        comment(f"{ledger.tried} tried, {len(ledger.acknowledged)} acknowledged, {kept} kept, 20 kills")
        for station in (town, top):
            arrived(station, kept)
        top.kill()
        top.run()
        equal(top.value("leads", MONTH), kept, "and after the county's own kill")


def test_fault_48_a_parent_that_stands_still_holds_nobody_up():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        one, two = (net.join(town, unit).run() for unit in ("C1-001", "C1-002"))
        for village in (one, two):
            village.record("lead", LEAD)
        arrived(top, 2)
        town.pause()
        slowest = 0
        for _ in range(20):
            for village in (one, two):
                began = time.monotonic()
                village.record("lead", [LEAD] * 10)
                slowest = max(slowest, time.monotonic() - began)
        check(slowest < 5, "the slowest request took", slowest)
        equal((one.value("leads", MONTH), two.value("leads", MONTH), top.value("leads", MONTH)), (201, 201, 2), "while the township stands still")
        town.resume()
        for station in (town, top):
            arrived(station, 402)


def test_fault_48_a_child_that_stands_still_holds_nobody_up():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        one, two = (net.join(town, unit).run() for unit in ("C1-001", "C1-002"))
        one.record("lead", [LEAD] * 500)
        one.pause()
        two.record("lead", [LEAD] * 20)
        wait_for(lambda: top.value("leads", MONTH, "C1-002") == 20, "the other child goes on")
        one.resume()
        arrived(top, 520)


def test_fault_56_a_line_that_breaks_again_and_again():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001")
        proxy = net.proxy(village)
        for _ in range(10):
            village.record("lead", [LEAD] * 100)
        village.run()
        for turn in range(6):  # a longer series of failures only waits longer
            size = len(proxy.passed)
            wait_for(lambda: len(proxy.passed) > size + 3000 or town.value("leads", MONTH) == 1000 + turn, "something gets through")
            proxy.cut()
            village.record("lead", LEAD)
        arrived(top, 1006)
        check(proxy.connections >= 6, "connections:", proxy.connections)
        check(town.tail(10 ** 6).count("\n") < 200, "the log stays short", town.tail(10 ** 6).count("\n"))
        batches = village.status()["journal_batches"]
        wait_for(lambda: village.up()["backlog_rows"] == 0, "nothing waits")
        check(town.status()["journal_batches"] < 4 * batches, "no batch is stored twice", batches, town.status()["journal_batches"])


run(test_a_village_alone_records_500_and_catches_up, test_fault_54_records_without_a_node_travel_when_it_starts,
    test_fault_50_a_parent_away_for_five_thousand_records, test_fault_01_kill_9_of_village_and_township_twenty_times_under_load,
    test_fault_48_a_parent_that_stands_still_holds_nobody_up, test_fault_48_a_child_that_stands_still_holds_nobody_up,
    test_fault_56_a_line_that_breaks_again_and_again)
