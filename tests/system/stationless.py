"""Villages without a station: the township reports for them, until one gets a station of its own."""
from harness import Network, check, county, equal, run, sanji, table, wait_for
from model import Model, month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
UNITS = county(2, 3)


def child(key, **more):
    return {"key": key, "since": DAY, "status": "active", "name": "乙", "birth": "2015-06-07", "sex": "m", "category": ["left_behind"], **more}


def agree(station, model, indicators, unit=None, by=("unit",)):
    """Every indicator's rows at a station are the model's."""
    for indicator in indicators:
        for names in ([], list(by)):
            found = table(station.figures(indicator, MONTH, unit, by=",".join(names) or None), unit=bool(names))
            equal(found, model.table(indicator, unit or station.unit, MONTH, names), f"{indicator} at {station} by {names}")
    return True


def test_a_township_reports_for_villages_without_a_station_T12():
    with Network(UNITS) as net:
        model = Model(UNITS)
        top, town = net.chain("C", "C1")
        for unit, key in (("C1-001", "a"), ("C1-001", "b"), ("C1-002", "a"), ("C1", "z")):
            town.record("file", child(key), unit=unit)
            model.add("file", unit, child(key), key=key)
        town.record("conference", {"day": DAY, "persons": 7})  # its own
        model.add("conference", "C1", {"day": DAY, "persons": 7})
        town.record("conference", {"day": DAY, "persons": 4, "unit": "C1-003"})  # named in the record itself
        model.add("conference", "C1-003", {"day": DAY, "persons": 4})
        top.record("conference", {"day": DAY, "persons": 9}, unit="C2-002")  # a county reports for a township's village
        model.add("conference", "C2-002", {"day": DAY, "persons": 9})
        top.record("conference", {"day": DAY, "persons": 100})
        model.add("conference", "C", {"day": DAY, "persons": 100})
        names = ("children", "conference")
        agree(town, model, names)
        wait_for(lambda: agree(top, model, names), "the county has them")
        agree(top, model, names, unit="C1")
        rows = top.figures("conference", MONTH, by="unit")["rows"]
        equal([(row["unit"], row["itself"]) for row in rows], [("C", True), ("C1", False), ("C2", False)], "the row itself comes first")
        equal(sum(row["subtree"] or 0 for row in rows), top.value("conference", MONTH), "the rows add up to the whole")
        equal(rows[0]["subtree"], 100, "the county's own is in no township")
        tiers = table(top.figures("children", MONTH, by="tier=village"), unit=True)
        equal(tiers, model.table("children", "C", MONTH, ["tier=village"]), "by villages")


def test_who_may_not_speak_for_whom():
    with Network(UNITS) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        for station, unit in ((town, "C1-001"), (town, "C2-001"), (top, "C1-002"), (top, "C1"), (village, "C1"), (village, "C1-002"),
                              (town, "C"), (town, "nowhere")):
            before = station.points(journal=False)
            result = station.record("conference", {"day": DAY, "persons": 1}, unit=unit, code=1)
            check(unit in result.err, "the unit is named", result.err)
            equal(station.points(journal=False), before, f"{station} is as it was")
        check("station" in town.cli("invite", "C1-001", code=1).err, "a unit that has one gets no second token")
        check(top.cli("invite", "C1-002", code=1).err, "its township invites it")


def test_a_village_that_gets_a_station_later_counts_once_T11():
    with Network(UNITS) as net:
        model = Model(UNITS)
        top, town = net.chain("C", "C1", leaf=False)
        for key in "abc":
            town.record("file", child(key), unit="C1-001")
            model.add("file", "C1-001", child(key), key=key)
        town.record("conference", {"day": DAY, "persons": 5}, unit="C1-001")
        names = ("children", "conference")
        wait_for(lambda: top.value("conference", MONTH) == 5 and top.value("children", MONTH) == 3, "the township's word for its village")

        village = net.join(town, "C1-001").run()
        wait_for(village.live, "the village's own station")
        refusal = town.record("conference", {"day": DAY, "persons": 1}, unit="C1-001", code=1)
        check("station" in refusal.err, "the township speaks for it no more", refusal.err)
        equal(top.value("conference", MONTH), 5, "its silence takes nothing away")

        village.record("conference", {"day": DAY, "persons": 8})
        own = Model(UNITS)  # what the village's station has said: for a figure that both stated its word is the one that counts
        own.add("conference", "C1-001", {"day": DAY, "persons": 8})
        for station in (village, town, top):
            wait_for(lambda s=station: s.value("conference", MONTH, "C1-001") == 8, f"its term wins at {station}")
        equal(top.value("conference", MONTH), 8, "and no sum of both")
        equal(top.value("children", MONTH), 3, "what it has not stated stays as the township said")
        agree(top, model, names[:1])
        agree(top, own, names[1:])
        agree(town, own, names[1:])


def test_an_invitation_from_a_month_on_leaves_earlier_months_as_they_were_T11():
    with Network(UNITS) as net:
        this, before = month_of(today()), month_of(today()) - 1
        early = f"{month_name(before)}-15"
        top, town = net.chain("C", "C1", leaf=False)
        town.record("lead", [{"day": early, "source": "police", "outcome": "enter"}] * 4, unit="C1-001")
        wait_for(lambda: top.value("leads", month_name(before)) == 4, "the township's leads")
        village = net.join(town, "C1-001", **{"from": month_name(this)}).run()
        refusal = village.record("lead", {"day": early, "source": "police", "outcome": "enter"}, code=1)
        check(month_name(this) in refusal.err, "it says from when", refusal.err)
        village.record("lead", [{"day": DAY, "source": "police", "outcome": "leave"}] * 2)
        wait_for(lambda: top.value("leads", month_name(this)) == 2, "the village's leads")
        equal(top.value("leads", month_name(before)), 4, "the month before stays the township's")
        equal(top.value("leads", f"{month_name(before)}..{month_name(this)}", "C1-001"), 6, "and both are the village's")


def test_an_older_token_does_not_lead_past_a_township_that_has_joined_T11():
    with Network(UNITS) as net:
        top = net.init("C").run()
        token = top.invite("C1-001")[0]
        town = net.join(top, "C1", serves=True).run()
        result = sanji("join", f"{net.dir}/past", token, code=1)
        check("ask it for a token" in result.err, "it says whom to ask", result.err)
        net.join(town, "C1-001").run()


run(test_a_township_reports_for_villages_without_a_station_T12, test_who_may_not_speak_for_whom,
    test_a_village_that_gets_a_station_later_counts_once_T11,
    test_an_invitation_from_a_month_on_leaves_earlier_months_as_they_were_T11,
    test_an_older_token_does_not_lead_past_a_township_that_has_joined_T11)
