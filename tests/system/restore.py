"""Stores put back from copies: nothing is signed twice, what was lost comes back from the parent, and figures are as if nothing had been.

A backup is a copy of DIR/store; the marker, the identity and the keyring are never part of it, but where a test says so.
"""
import random
import shutil
import time
from datetime import timedelta

from harness import Network, check, county, equal, run, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
LEAD = {"day": DAY, "source": "police", "outcome": "enter"}
UNITS = county(1, 2)
INDICATORS = ("leads", "children")


def child(number):
    return {"key": f"child {number}", "since": DAY, "name": f"孩子{number}", "birth": (today() - timedelta(days=3000)).isoformat(), "sex": "f",
            "category": ["orphan"], "status": "active"}


def arrived(stations, leads, children):
    for station in stations:
        for indicator, number in zip(INDICATORS, (leads, children)):
            wait_for(lambda: station.value(indicator, MONTH) == number, f"{number} of {indicator} at {station}, which has "
                     f"{station.value(indicator, MONTH)}")


def backup(station, name="backup"):
    """A copy of the store, as of a station that stands still or runs: the newest meta page decides, so a copy is some state of it."""
    target = station.network.dir / f"{station.name}.{name}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(station.dir / "store", target)
    return target


def put_back(station, copy):
    shutil.rmtree(station.dir / "store")
    shutil.copytree(copy, station.dir / "store")


def kinds(station):
    return [alarm["kind"] for alarm in station.alarms()]


def opened(station, ordinal):
    wait_for(lambda: station.status()["state"] == "ready" and station.status()["ordinal"] == ordinal, f"{station} is open in incarnation {ordinal}")


def refused(station):
    result = station.record("lead", LEAD, code=1)
    check("read-only" in result.err, result)


def chain(net):
    """County, township and village, all running."""
    top, town = net.chain("C", "C1", leaf=False)
    return top, town, net.join(town, "C1-001").run()


def put_back_alone(town, top, village):
    """Four leads of ten are in the copy that a killed village is put back from; its parent is away when it starts."""
    village.record("lead", [LEAD] * 4)
    arrived((town, top), 4, 0)
    copy = backup(village)
    village.record("lead", [LEAD] * 6)
    arrived((town, top), 10, 0)
    village.kill()
    put_back(village, copy)
    town.stop()
    village.run()


def test_fault_18_a_village_put_back_gets_its_lost_tail_and_a_new_incarnation():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village, other = net.join(town, "C1-001").run(), net.join(town, "C1-002").run()
        village.record("lead", [LEAD] * 20)
        village.record("file", [child(n) for n in range(5)])
        arrived((village, town, top), 20, 5)
        village.stop()
        copy = backup(village)
        village.run()
        kept = village.record("lead", [LEAD] * 30)
        village.record("file", [child(n) for n in range(5, 9)])
        arrived((town, top), 50, 9)
        village.stop()
        town.stop()
        put_back(village, copy)
        village.run()
        equal(village.status()["state"], "read-only", "a store that is older than its marker")
        refused(village)
        equal(village.value("leads", MONTH), 20, "as of the copy")
        village.stop()
        village.run()
        refused(village)
        town.run()
        opened(village, 2)
        equal((village.value("leads", MONTH), village.value("children", MONTH)), (50, 9), "as if nothing had been lost")
        known = village.record("lead", [{**LEAD, "record": record["record"]} for record in kept], check_only=True)
        equal(len(known), 30, "records of the lost tail that can be corrected")
        check("restored" in kinds(town) and "incarnation" in kinds(village), kinds(town), kinds(village))
        equal(kinds(town).count("restored"), 1, "one alarm")
        village.record("lead", {**LEAD, "record": kept[0]["record"], "outcome": "none"} if False else LEAD)
        village.record("file", child(9))
        other.record("lead", LEAD)
        arrived((town, top), 52, 10)
        equal(village.status()["ordinal"], 2, "and it stays there")
        village.stop()
        village.run()
        equal((village.status()["state"], village.status()["ordinal"]), ("ready", 2), "after a start, too")
        village.record("lead", LEAD)
        arrived((town, top), 53, 10)


def test_fault_18_again_and_again_from_the_same_old_copy():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.record("lead", LEAD)
        arrived((town, top), 1, 0)
        village.stop()
        copy = backup(village)
        village.run()
        for turn in range(1, 4):
            village.record("lead", [LEAD] * 5)
            village.record("file", child(turn))
            arrived((town, top), 1 + 5 * turn, turn)
            village.kill()
            put_back(village, copy)
            village.run()
            opened(village, 1 + turn)
            arrived((village,), 1 + 5 * turn, turn)
        village.record("lead", LEAD)
        arrived((town, top), 17, 3)


def test_fault_18_a_whole_directory_without_its_marker():
    """The keyring is old as well: records of children filed since can't be opened any more, but figures stand."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.record("lead", [LEAD] * 3)
        village.record("file", child(1))
        arrived((town, top), 3, 1)
        village.stop()
        copy = net.dir / "whole"
        shutil.copytree(village.dir, copy, ignore=shutil.ignore_patterns("marker", "lock", "control.sock"))
        village.run()
        village.record("lead", LEAD)
        village.record("file", [child(2), child(3)])
        arrived((town, top), 4, 3)
        village.stop()
        shutil.rmtree(village.dir)
        shutil.copytree(copy, village.dir)
        village.run()
        opened(village, 2)
        arrived((village, town, top), 4, 3)
        village.record("lead", LEAD)
        arrived((village, town, top), 5, 3)


def test_fault_18_a_copy_of_a_running_store_put_back_after_a_crash():
    """The marker was written at the start only: the parent's marks prove that the store is not the one that signed last."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        put_back_alone(town, top, village)
        equal(village.status()["state"], "ready", "it can't know")
        town.run()
        opened(village, 2)
        arrived((village, town, top), 10, 0)
        village.record("lead", LEAD)
        arrived((village, town, top), 11, 0)


def test_fault_18_killed_at_any_moment_of_its_recovery():
    """Village and township are killed again and again while the tail comes back: each start goes on where the one before was."""
    pick = random.Random(18)
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.record("lead", LEAD)
        arrived((town, top), 1, 0)
        village.stop()
        copy = backup(village)
        for turn in range(4):
            village.run()
            for _ in range(60):
                village.record("lead", [LEAD] * 3)
            village.record("file", child(turn))
            arrived((town, top), 1 + 180 * (turn + 1), turn + 1)
            village.kill()
            put_back(village, copy)
            for _ in range(6):
                village.run(wait=False)
                until = time.perf_counter() + pick.random() * 0.25
                while time.perf_counter() < until:
                    pass
                village.kill()
                if pick.random() < 0.4:
                    town.kill()
                    town.run()
            village.run()
            opened(village, turn + 2)
            arrived((village,), 1 + 180 * (turn + 1), turn + 1)
            village.stop()
        village.run()
        village.record("lead", LEAD)
        arrived((village, town, top), 722, 4)


def test_fault_18_22_what_it_signed_twice_is_kept_twice():
    """As above, but it records before it meets its parent: the parent keeps both versions, and the first one counts."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        put_back_alone(town, top, village)
        village.record("lead", [LEAD] * 2)
        town.run()
        opened(village, 2)
        wait_for(lambda: "fork" in kinds(town), "both versions are at the parent")
        check(town.cli("verify", "--json", code=None).json["disputed"] > 0, "its feed is disputed")
        village.record("file", child(1))
        wait_for(lambda: top.value("children", MONTH) == 1, "what it signs in the new incarnation arrives")


def test_fault_17_a_township_put_back_under_live_children():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        one, two = (net.join(town, unit).run() for unit in ("C1-001", "C1-002"))
        for village in (one, two):
            village.record("lead", [LEAD] * 5)
        town.record("lead", LEAD)
        arrived((town, top), 11, 0)
        town.stop()
        copy = backup(town)
        town.run()
        for village in (one, two):
            village.record("lead", [LEAD] * 5)
        town.record("lead", [LEAD] * 2)
        one.record("file", child(1))
        arrived((town, top), 23, 1)
        town.stop()
        put_back(town, copy)
        town.run()
        opened(town, 2)
        arrived((town, top), 23, 1)
        check("restored" in kinds(top), kinds(top))
        two.record("lead", LEAD)
        town.record("lead", LEAD)
        arrived((town, top), 25, 1)


def test_fault_18_a_root_put_back_goes_on_by_its_admins_word():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        town.record("lead", LEAD)
        top.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 2, "both are counted")
        check("nothing to recover" in top.cli("recover", "--open", "2", code=1).err, "nothing to recover")
        top.stop()
        copy = backup(top)
        top.run()
        town.record("lead", [LEAD] * 3)
        wait_for(lambda: top.value("leads", MONTH) == 5, "and what came since")
        top.stop()
        put_back(top, copy)
        top.run()
        equal(top.status()["state"], "read-only", "a root put back")
        refused(top)
        wait_for(lambda: top.value("leads", MONTH) == 5, "its children send again")
        told = top.cli("recover", "--json").json
        equal((told["restored"], told["has_parent"], told["ordinal"], told["next"]), (True, False, 1, 2), "what it says")
        check("--open 2" in top.cli("recover").out and "--open 2" in top.cli("recover", LANG="zh_CN.UTF-8").out, "the way out")
        check("--open 2" in top.cli("recover", "--open", "3", code=1).err, "only the right number opens it")
        check(top.cli("recover", "--json", "--open", "2").json["opened"], "opened")
        opened(top, 2)
        top.record("lead", LEAD)
        town.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 7, "it works again")
        top.stop()
        put_back(top, copy)
        equal(top.cli("recover", "--json").json["next"], 3, "without a node, too")
        top.cli("recover", "--open", "3")
        top.run()
        opened(top, 3)
        wait_for(lambda: top.value("leads", MONTH, "C1") == 5, "again")


def test_fault_19_two_clones_at_once():
    """A whole directory copied, marker and all, and both run: each recorded something of its own before it met the parent."""
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village, other = net.join(town, "C1-001").run(), net.join(town, "C1-002").run()
        village.record("lead", LEAD)
        arrived((town, top), 1, 0)
        village.stop()
        twin = type(village)(net, "twin", town, False)
        shutil.copytree(village.dir, twin.dir)
        twin.unit = village.unit
        net.stations["twin"] = twin
        town.stop()
        village.run()
        twin.run()
        village.record("lead", [LEAD] * 2)
        twin.record("lead", [LEAD] * 3)
        town.run()
        wait_for(lambda: "clone" in kinds(town), "the township notices", 150)
        wait_for(lambda: "fork" in kinds(town), "what they signed both is kept")
        other.record("lead", [LEAD] * 10)
        wait_for(lambda: top.value("leads", MONTH, "C1-002") == 10, "other stations go on")
        equal(kinds(town).count("clone"), 1, "one alarm")
        check(kinds(town).count("restored") <= 3, "no incarnation after the other", kinds(town))
        twin.stop()


TESTS = [value for name, value in sorted(globals().items()) if name.startswith("test_")]
run(*TESTS)
