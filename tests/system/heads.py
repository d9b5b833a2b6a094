"""Stations that are not true: a township that keeps back what its village signed, and a village that signs two histories. The untrue one is
a program of the tests (untrue.c). And one direction of a line that is dead: nobody is accused for it."""
import os
import re

from harness import Network, Proxy, check, county, equal, run, wait_for
from model import month_name, month_of, today

UNTRUE = os.environ["UNTRUE"]
MONTH = month_name(month_of(today()))
LEAD = {"day": today().isoformat(), "source": "police", "outcome": "enter"}
UNITS = county(1, 2)
SOON = 150  # seconds: a pause, the time of grace, and a look, each some seconds, on a machine that has other things to do
OF_HEADS = {"head-gap", "head-gap-closed", "split-view", "views-differ", "not-heard", "heard-again", "fork", "wrong-way"}


def kinds(station):
    return sorted(alarm["kind"] for alarm in station.alarms() if alarm["kind"] in OF_HEADS)


def the_alarm(station, kind):
    found = [alarm for alarm in station.alarms() if alarm["kind"] == kind]
    return found[0]["text"] if found else None


def arrived(station, number, seconds=SOON):
    wait_for(lambda: station.value("leads", MONTH) == number, f"{number} leads at {station}", seconds)


def test_fault_33_county_sees_the_head_gap():
    with Network(UNITS) as net:
        top = net.init("C").run()
        town = net.join(top, "C1", serves=True)
        mute = net.dir / "mute"
        town.program, town.env = UNTRUE, {"SANJI_MUTE": str(mute)}
        town.run()
        village, other = net.join(town, "C1-001").run(), net.join(town, "C1-002").run()
        village.record("lead", LEAD)
        other.record("lead", LEAD)
        arrived(top, 2)
        other.stop()  # away for the night: that is no news
        mute.touch()
        village.record("lead", LEAD)
        arrived(town, 3)
        equal(top.value("leads", MONTH), 2, "the township keeps it to itself")
        text = wait_for(lambda: the_alarm(top, "head-gap"), "the county sees that something is missing", SOON)
        check(village.status()["station"] in text and town.status()["station"] in text and "C1-001" in text, "whose, and by way of whom:", text)
        check(re.search(r"signed up to \d+, here up to \d+", text), "and how much:", text)
        check(set(kinds(top)) == {"head-gap"} and other.unit not in text, "nobody else is accused:", top.alarms())
        equal(kinds(town) + kinds(village), [], "nothing is missing elsewhere")
        check("signed there, not arrived here" in top.cli("status").out, "a person reads it")
        check("对方已签名，此处未收到" in top.cli("status", LANG="zh_CN.UTF-8").out, "in Chinese, too")


def test_fault_20_an_equivocating_station_is_found_and_stops_nobody():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        false, true = net.join(town, "C1-001"), net.join(town, "C1-002").run()
        false.program, false.env = UNTRUE, {"SANJI_SECOND": "1"}
        false.run()
        false.record("lead", LEAD)
        true.record("lead", LEAD)
        for station in (town, top):
            text = wait_for(lambda: the_alarm(station, "split-view"), f"{station} sees two histories", SOON)
            check(false.status()["station"] in text and "C1-001" in text, "whose:", text)
            arrived(station, 2)
        seen = {station: kinds(station) for station in (town, top)}
        true.record("lead", LEAD)
        false.record("lead", LEAD)
        for station in (town, top):
            arrived(station, 4)  # the first history of each goes on
            equal(set(kinds(station)), set(seen[station]), "one alarm a feed is enough")


class Valve(Proxy):
    """Lets nothing through in one direction while `shut` names it."""
    shut = None

    def lets_through(self, data, up):
        return self.shut != ("up" if up else "down")


def test_fault_57_half_a_line_accuses_nobody():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        villages = [net.join(town, unit) for unit in ("C1-001", "C1-002")]
        halves = [(village, net.proxy(village, Valve), direction) for village, direction in zip(villages, ("down", "up"))]
        for village, _, _ in halves:
            village.run()
        for village, valve, direction in halves:  # one half each, at the same time
            wait_for(village.live, "the link", SOON)
            valve.shut = direction
            village.record("lead", LEAD)
        for village, valve, direction in halves:
            wait_for(lambda station=village: not station.live(), f"the village notices that nothing goes {direction}", SOON)
            valve.shut = None
        arrived(top, 2)
        for station in (top, town, *villages):
            equal(kinds(station), [], f"{station} accuses nobody")


run(test_fault_33_county_sees_the_head_gap, test_fault_20_an_equivocating_station_is_found_and_stops_nobody,
    test_fault_57_half_a_line_accuses_nobody)
