"""Urgent records: receipts from every tier that has them."""
from harness import Network, check, county, equal, run, wait_for
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


run(test_every_tier_receipts_an_urgent_record_once, test_a_record_waits_until_the_county_has_it)
