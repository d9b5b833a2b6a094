"""Urgent records: receipts from every tier that has them, and the way past a parent that keeps silent."""
import re
import shutil

from harness import Network, check, county, equal, free_address, run, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()


def report(station, **more):
    return station.record("report", {"day": DAY, "by": "school", "facts": "孩子身上有伤", "told_by": "张老师", **more})[0]["record"]


def who(station, record=None):
    """tier -> state of every batch of a record (or of all), as `sanji receipts` says: the least of them."""
    found = {}
    for batch in station.cli("receipts", "--json").json:
        if record in (None, batch["record"]):
            for tier in batch["tiers"]:
                found.setdefault(tier["tier"], []).append(tier["state"])
    return {tier: None if None in states else states[0] for tier, states in found.items()}


def waiting(station):
    return len(station.cli("receipts", "--waiting", "--json").json)


def kinds(station):
    return [alarm["kind"] for alarm in station.alarms()]


def test_every_tier_receipts_an_urgent_record_once():
    with Network(county(1, 2)) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        other = net.join(town, "C1-002").run()
        record = report(village)
        wait_for(lambda: who(village, record) == {"township": "received", "county": "received"}, "both have it")
        equal(waiting(village), 0, "nothing waits")
        table = village.cli("receipts").out
        check(record in table and "received" in table and "C1" in table, table)
        check("已收到" in village.cli("receipts", LANG="zh_CN.UTF-8").out, "in Chinese")
        equal(who(other), {}, "another village's")
        # once: a restart sends nothing twice, and nothing waits for what was receipted
        journal = village.status()["journal_batches"]
        village.stop().run()
        wait_for(village.live, "the link")
        equal(village.status()["journal_batches"], journal, "batches after a restart")
        first = {tuple(tier["since_ms"] for tier in batch["tiers"]) for batch in village.cli("receipts", "--json").json}
        second = report(village, record=record, facts="更正")
        equal(second, record, "the same record, corrected")
        wait_for(lambda: waiting(village) == 0 and len(village.cli("receipts", "--json").json) == 2, "the correction has them too")
        check(first < {tuple(tier["since_ms"] for tier in batch["tiers"]) for batch in village.cli("receipts", "--json").json}, "receipts stay")
        wait_for(lambda: top.value("reports", MONTH) == 1, "the figure")
        town_report = report(town)
        wait_for(lambda: who(town, town_report) == {"county": "received"}, "the township's own")
        root_report = report(top)
        equal(who(top, root_report), {}, "nobody is above the county")
        equal(waiting(top), 0, "and it waits for nobody")
        equal([kind for station in (top, town, village) for kind in kinds(station)], [], "alarms")


def test_a_record_waits_until_the_county_has_it():
    with Network(county(1, 1)) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        top.stop()
        record = report(village)
        wait_for(lambda: who(village, record) == {"township": "received", "county": None}, "the township has it, the county not yet")
        equal(waiting(village), 1, "it waits")
        check("it decides" in village.cli("receipts").out, "the county decides")
        top.run()
        wait_for(lambda: who(village, record) == {"township": "received", "county": "received"}, "both have it")
        equal(waiting(village), 0, "it waits no more")


def point(station, **addresses):
    """Another address in station.conf; returns what stood there."""
    config = station.dir / "station.conf"
    text = config.read_text()
    before = {}
    for name, address in addresses.items():
        before[name] = re.search(rf"^{name} = (\S+)$", text, re.M).group(1)
        text = re.sub(rf"^{name} = \S+$", f"{name} = {address}", text, flags=re.M)
    config.write_text(text)
    return before


def ups(station):
    return [link["state"] for link in station.status()["links"] if link["direction"] == "up"]


def test_fault_33_a_township_that_acknowledges_and_tells_nobody_is_passed():
    with Network(county(1, 2)) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        other = net.join(town, "C1-002").run()
        town.stop()
        true = point(town, parent=free_address())  # the county hears nothing from it any more
        town.run()
        wait_for(village.live, "the village's link")
        record = report(village)
        wait_for(lambda: who(village, record) == {"township": "received", "county": None}, "the township has it and says so")
        equal(ups(village), ["live"], "links while there is still time")
        village.stop()
        village.days = 1  # longer than the codebook gives the county
        village.run()
        wait_for(lambda: who(village, record) == {"township": "received", "county": "received"}, "the county has it, past the township")
        wait_for(lambda: len(ups(village)) == 1, "the second link is closed again")
        check("past-parent" in kinds(village), "the village's alarm:", village.alarms())
        wait_for(lambda: "came-past-parent" in kinds(top), "the county's alarm")
        check("C1-001" in next(alarm["text"] for alarm in top.alarms() if alarm["kind"] == "came-past-parent"), "whose it is")
        equal((kinds(town), kinds(other)), ([], []), "others' alarms")
        equal(top.value("reports", MONTH), 0, "figures go by the township")
        had = top.status()["journal_batches"]
        more = report(village, facts="又一次")  # in time: there is no reason yet
        wait_for(lambda: who(village, more) == {"township": "received", "county": None}, "the second waits for the township")
        equal(len(ups(village)), 1, "links")
        town.stop()
        point(town, **true)
        town.run()
        wait_for(lambda: who(village, more) == {"township": "received", "county": "received"}, "the second comes by the township")
        wait_for(lambda: top.value("reports", MONTH) == 2 and town.value("reports", MONTH) == 2, "figures, each record once")
        wait_for(lambda: all(station.up()["backlog_rows"] == 0 for station in (village, town, other)), "all has gone up")
        check(top.status()["journal_batches"] > had, "the rest has come")
        equal(waiting(village), 0, "nothing waits")
        equal([batch["tiers"] for batch in village.cli("receipts", "--json").json if None in [tier["state"] for tier in batch["tiers"]]], [], "without receipt")


def test_fault_33_a_township_that_stands_still_is_passed_and_nothing_is_doubled():
    with Network(county(1, 1)) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        first = report(village)
        wait_for(lambda: waiting(village) == 0, "the first is receipted")
        town.pause()
        record = report(village)
        village.stop()
        village.days = 1
        village.run()
        wait_for(lambda: who(village, record) == {"township": None, "county": "received"}, "the county has it, and the township not yet")
        equal(who(village, first), {"township": "received", "county": "received"}, "the first")
        town.resume()
        wait_for(lambda: who(village, record) == {"township": "received", "county": "received"}, "the township has it now")
        wait_for(lambda: top.value("reports", MONTH) == 2, "figures, each record once")
        for station in (village, top):  # the county knows its guest from now on, also after a restart
            station.stop().run()
        wait_for(lambda: village.live() and town.live(), "links")
        equal(top.value("reports", MONTH), 2, "figures after a restart")


def test_fault_33_nobody_calls_past_its_parent_whom_the_county_did_not_enrol():
    with Network(county(1, 1)) as net, Network(county(1, 1)) as others:
        top, town, village = net.chain("C", "C1", "C1-001")
        stranger = others.chain("C", "C1", "C1-001")[2]
        stranger.stop()
        point(stranger, above=top.listen, above_join=top.enrol)
        others.stations["C1"].pause()
        report(stranger)
        stranger.days = 1
        stranger.run()
        wait_for(lambda: "past-parent" in kinds(stranger), "it tries")
        wait_for(lambda: "connection breaks" in stranger.tail() or "handshake" in stranger.tail(), "and fails: another key answers there")
        equal((kinds(top), top.value("reports", MONTH)), ([], 0), "the county")
        equal(len(ups(stranger)), 2, "the stranger goes on trying")
        others.stations["C1"].resume()


def test_fault_17_a_child_enrolled_after_the_backup_is_let_in_again():
    with Network(county(1, 2)) as net:
        top, town = net.chain("C", "C1", leaf=False)
        old = net.join(town, "C1-001").run()
        wait_for(old.live, "the old village")
        town.stop()
        shutil.copytree(town.dir / "store", net.dir / "backup")
        town.run()
        village = net.join(town, "C1-002").run()
        for station in (old, village):
            station.record("file", {"key": "k1", "since": DAY, "status": "active", "name": "甲", "birth": "2016-03-04", "sex": "f", "category": ["orphan"]})
        record = report(village)
        wait_for(lambda: who(village, record) == {"township": "received", "county": "received"}, "receipts")
        wait_for(lambda: top.value("children", MONTH) == 2, "the county's figure")
        wait_for(lambda: town.up()["backlog_rows"] == 0, "all has gone up")
        town.stop()
        shutil.rmtree(town.dir / "store")
        shutil.copytree(net.dir / "backup", town.dir / "store")
        town.run()
        wait_for(lambda: village.live() and old.live(), "both are let in")
        check("child-returned" in kinds(town), "the township's alarm:", town.alarms())
        check("C1-002" in next(alarm["text"] for alarm in town.alarms() if alarm["kind"] == "child-returned"), "which")
        wait_for(lambda: town.value("children", MONTH) == 2 and town.value("reports", MONTH) == 1, "the children sent everything again")
        village.record("file", {"key": "k2", "since": DAY, "status": "active", "name": "乙", "birth": "2016-03-04", "sex": "m", "category": ["orphan"]})
        wait_for(lambda: top.value("children", MONTH) == 3, "new records go through")
        equal(top.value("reports", MONTH), 1, "nothing is doubled")


run(test_every_tier_receipts_an_urgent_record_once, test_a_record_waits_until_the_county_has_it,
    test_fault_33_a_township_that_acknowledges_and_tells_nobody_is_passed, test_fault_33_a_township_that_stands_still_is_passed_and_nothing_is_doubled,
    test_fault_33_nobody_calls_past_its_parent_whom_the_county_did_not_enrol, test_fault_17_a_child_enrolled_after_the_backup_is_let_in_again)
