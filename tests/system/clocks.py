"""Wall clocks that are wrong by ten years, or jump: order is by sequence, timers go on, what is signed with such a time is told of, and
tokens are judged by the clock of who gave them."""
import re
from datetime import timedelta

from harness import Network, check, comment, county, equal, run, sanji, wait_for
from model import month_name, month_of, today

TEN_YEARS = 3652
TREE = county(2, 2)
PAST = today() - timedelta(days=20)  # a day that all clocks of the jumping station have behind them, most of the time


def own_day(station):
    return today() + timedelta(days=station.days)


def leads(station, number, day=None):
    station.record("lead", [{"day": (day or own_day(station)).isoformat(), "source": "police", "outcome": "enter"}] * number)


def period(day):
    return month_name(month_of(day))


def with_clock(station, days):
    station.stop()
    station.days = days
    return station.run()


def fault_58_a_village_ten_years_ahead_and_a_township_ten_years_behind():
    with Network(TREE) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        leads(village, 2)
        leads(town, 1)
        wait_for(lambda: top.value("leads", period(today())) == 3, "all right so far")
        with_clock(town, -TEN_YEARS)
        with_clock(village, TEN_YEARS)
        wait_for(lambda: village.live() and town.live(), "links: no clock is needed for them")
        for _ in range(5):
            leads(village, 3)
            leads(town, 2)
            leads(top, 1)
        ahead, behind = today() + timedelta(days=TEN_YEARS), today() - timedelta(days=TEN_YEARS)
        for station in (top, town):
            wait_for(lambda s=station: s.value("leads", period(behind)) == 10, f"each in the month of its own day, at {station}")
            alarms = wait_for(lambda s=station: told(s), f"{station} tells of the village's clock, and of a period that has not come")
            check(len([alarm for alarm in alarms if alarm["kind"] == "clock"]) <= 3, "told once of each", alarms)
        wait_for(lambda: village.up()["backlog_rows"] == 0 and town.up()["backlog_rows"] == 0, "all has arrived")
        for station in (top, town):
            equal(station.value("leads", period(ahead)), 0, f"held: the month has not come at {station}")
        equal(top.value("leads", period(today())), 8, "what was there, and its own")
        with_clock(town, 0)
        with_clock(village, 0)
        leads(village, 4)
        wait_for(lambda: top.value("leads", period(today())) == 12, "and all right again")
        equal(top.value("leads", period(ahead)), 0, "still held: damage.py sees such a month come")


def told(station):
    """Its alarms, when each thing that it must tell of is among them; there may be nothing else."""
    alarms = station.alarms()
    kinds = {alarm["kind"] for alarm in alarms if alarm["kind"] != "clock" or "C1-001" in alarm["text"]}
    check({alarm["kind"] for alarm in alarms} <= {"clock", "future-period"}, "other alarms", alarms)
    return alarms if kinds == {"clock", "future-period"} else None


def fault_58_tokens_are_judged_by_who_gave_them():
    with Network(TREE) as net:
        top = net.init("C").run()
        early, late = top.invite("C1", ttl="1h")[0], top.invite("C2", ttl="1h")[0]
        with_clock(top, TEN_YEARS)
        result = sanji("join", net.dir / "late", early, code=1)
        check("expired" in result.err, "a token of ten years ago", result)
        check(not (net.dir / "late").exists(), "no station")
        with_clock(top, 0)
        town = net.join(top, "C2", token=late, serves=False)  # the other still is good, and was never used
        town.days = TEN_YEARS
        town.run()
        wait_for(town.live, "a link")


def fault_58_a_clock_that_jumps_under_load():
    """Each second another offset. What was acknowledged arrives, once; no process spins or stops; nothing is out of order."""
    with Network(TREE) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        for station in (town, village):
            station.stop()
            station.days = "0,1,-1,365,-19,40,3652"
            station.run()
        kept = {"C1": 0, "C1-001": 0}
        for _ in range(120):
            for station in (town, village):
                result = station.cli("record", "lead", "-f", "-", "--json", code=None,
                                     stdin='[{"day": "%s", "source": "police", "outcome": "enter"}]' % PAST.isoformat())
                check(result.code == 0, "taken whatever the clock says", result)
                kept[station.unit] += 1
        for station in (top, town):
            wait_for(lambda s=station: s.value("leads", period(PAST)) == sum(kept.values()), f"all at {station}")
        check(village.live() and town.live(), "links")
        check(village.tail(10 ** 6).count("\n") < 100, "the log stays short")
        comment(f"{kept} records while the clocks jumped")
        for station in (town, village):  # verify() asks for the clock as well
            station.stop()
            station.days = 0


run(*[test for name, test in sorted(globals().items()) if re.match(r"fault_\d", name)])
