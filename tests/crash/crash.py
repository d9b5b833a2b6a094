"""Crash states: everything a station writes is recorded, every state that a kill or a power cut could leave is built and opened again.
SANJI_ALL=1 tries every state, otherwise a seeded part (SANJI_SEED). README.md says more."""
import json
from functools import lru_cache

from recording import ALL, LOG_MESSAGE, LOG_WRITE, Recorded, join, make_root
from harness import Network, check, comment, county, equal, run, wait_for

DAY = "2023-03-05"
MONTH = "2023-03"
CANARY = "示例金丝雀"


def children(first, count):
    return json.dumps([{"key": f"k{n}", "since": DAY, "status": "active", "name": f"{CANARY}{n}", "birth": "2016-03-04", "sex": "f",
                        "category": ["orphan"]} for n in range(first, first + count)], ensure_ascii=False)


class Day:
    """A county and a township, recorded from their first start: typed records, an import, a join, what travels, stops, starts and kills."""

    def __init__(self):
        self.net = net = Network(county(1, 1))
        try:
            self._live(net)
        except BaseException:
            net.close(verify=False)
            raise

    def _live(self, net):
        self.top = top = make_root(net)
        top.does("record", "file", "--json", stdin=children(0, 12))  # more keys than a sector of the keyring holds
        figures = net.dir / "figures.csv"
        figures.write_text("unit,period,indicator,value\nC,2023,inspection_teams,5\nC,2023,member_units,34\n")
        top.does("import", figures, "--json")
        top.run()
        self.town = town = join(net, top, "C1", "t").run()
        town.does("record", "file", "--json", stdin=children(20, 3))
        wait_for(lambda: top.value("children", MONTH) == 15, "the township's children")
        town.stop()
        town.does("record", "file", "--json", stdin=children(30, 2))
        town.run()
        wait_for(lambda: top.value("children", MONTH) == 17, "what was typed without a node")
        town.kill().run()
        town.does("record", "file", "--json", stdin=children(40, 1))
        wait_for(lambda: top.value("children", MONTH) == 18, "what came after a kill")
        top.kill().run()
        town.does("record", "visit", "--json", stdin=json.dumps([{"key": "k40", "day": DAY}] * 2))
        wait_for(lambda: top.value("visits", MONTH) == 2, "what came after the county was killed")
        wait_for(lambda: town.up()["backlog_rows"] == 0, "everything acknowledged")
        top.stop()
        town.stop()


@lru_cache
def day():
    return Day()


def fault_2_every_prefix_of_a_countys_day_opens_whole():
    day().top.judge("kills", limit=60)


def fault_2_every_prefix_of_a_join_and_a_townships_day_opens_whole():
    day().town.judge("kills", limit=60)


def fault_3_power_cuts_on_a_countys_day_lose_nothing_acknowledged():
    day().top.judge("cuts", limit=150)


def fault_3_power_cuts_on_a_townships_day_lose_nothing_acknowledged():
    day().town.judge("cuts", limit=150)


def fault_4_until_init_has_said_so_there_is_a_whole_station_or_none():
    day().top.judge("first", limit=100)


def fault_32_until_join_has_said_so_there_is_a_whole_station_or_its_keys():
    day().town.judge("first", limit=80)


def fault_36_no_acknowledgement_leaves_before_its_commit_is_durable():
    for station in (day().top, day().town):
        out = station.judge("promised", limit=30)
        check(" 0 promises" not in out, "promises are found")


def fault_36_a_disk_that_lies_is_found_out():
    for station in (day().top, day().town):
        station.judge("promised", limit=20, options=["--lying", "--brief"], good=False)  # there are bad states


def fault_38_no_name_is_written_in_the_clear():
    for station in (day().top, day().town):
        for kind, least in ((LOG_WRITE, 100), (LOG_MESSAGE, 20)):
            found = [text for event, text in station.happened() if event == kind]
            check(len(found) >= least, "the log has what was written and sent", len(found))
            equal([text for text in found if CANARY.encode() in text], [], f"{station}: names in what was written or sent")


# ---- killed at each of its steps, given again, and then the power fails

STEPS_AT_ONCE = 11  # a kill at one step in so many, when not all are to be tried


def kills(first=1):
    n = first
    while True:
        yield n
        n += 1 if ALL else STEPS_AT_ONCE


def fault_32_a_join_killed_at_each_step_and_given_again_survives_a_power_cut():
    with Network(county(150, 1)) as net:
        top = net.init("C").run()
        for tried, n in enumerate(kills()):
            station = Recorded(net, f"t{n}", top, False, f"C{n}")
            token = top.invite(station.unit)[0]
            if station.does("join", station.dir, token, make=True, code=None, RECORD_KILL_AT=str(n)).code == 0:
                break
            again = station.does("join", station.dir, token, make=True, code=None)
            check(again.code == 0 or (station.dir.exists() and "not empty" in again.err), again)  # killed when it was in place already
            station.does("record", "file", "--json", stdin=children(0, 1))
            station.judge("promised", limit=8)
        check(tried > 3, "it was killed", tried)
        comment(f"killed at {tried} steps")


def fault_3_records_killed_at_each_step_and_given_again_survive_a_power_cut():
    with Network(county(1, 1)) as net:
        for tried, n in enumerate(kills()):
            station = make_root(net, f"c{n}")
            if station.does("record", "file", "--json", stdin=children(0, 3), code=None, RECORD_KILL_AT=str(n)).code == 0:
                break
            station.does("record", "file", "--json", stdin=children(0, 4))
            station.judge("promised", limit=8)
        check(tried > 3, "it was killed", tried)
        comment(f"killed at {tried} steps")


def end():
    if day.cache_info().currsize:
        with day().net:
            pass  # its end removes what it made, too


if __name__ == "__main__":
    try:
        run(fault_2_every_prefix_of_a_countys_day_opens_whole, fault_2_every_prefix_of_a_join_and_a_townships_day_opens_whole,
            fault_3_power_cuts_on_a_countys_day_lose_nothing_acknowledged, fault_3_power_cuts_on_a_townships_day_lose_nothing_acknowledged,
            fault_4_until_init_has_said_so_there_is_a_whole_station_or_none, fault_32_until_join_has_said_so_there_is_a_whole_station_or_its_keys,
            fault_36_no_acknowledgement_leaves_before_its_commit_is_durable, fault_36_a_disk_that_lies_is_found_out,
            fault_38_no_name_is_written_in_the_clear, fault_32_a_join_killed_at_each_step_and_given_again_survives_a_power_cut,
            fault_3_records_killed_at_each_step_and_given_again_survive_a_power_cut)
    finally:
        end()
