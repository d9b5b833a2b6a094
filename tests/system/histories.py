"""Random histories against model.py: what was typed where and when, in what order it arrived and who was asleep must not show in any figure.

A county, two townships, four villages with stations and two without. Each story has a fixed seed: the number in its test's name.
"""
import os
import random
import time
from datetime import timedelta

from harness import Network, Failed, check, comment, county, equal, run, table, wait_for
from model import INDICATORS, MULTIPLE, RATIOS, Flow, Model, month_name, month_of, today

UNITS = county(2, 3)  # Cn-003 has no station
ZONES = ("UTC", "America/New_York", "Asia/Shanghai")
NOW = today()
MONTHS_BACK = 14
LEAP = (NOW.year - 11) // 4 * 4  # a year with a 29 February, 11 to 14 years ago
PERIOD = month_name(month_of(NOW))
SPAN = f"{month_name(month_of(NOW) - MONTHS_BACK)}..{PERIOD}"
DIMS = {**{name: tuple(rule.dims) for name, rule in INDICATORS.items()}, "confirmed_rate": ("source",), "hardship_share": ()}
CATEGORIES = ("orphan", "left_behind", "serious_illness", "out_of_school", "hardship", "behaviour", "disabled", "prisoner_child")
COLOURS = ("red", "yellow", "blue", "green")


class Story:
    def __init__(self, net, seed):
        self.pick = random.Random(seed)
        self.net, self.model = net, Model(UNITS, NOW)
        zone = lambda: self.pick.choice(ZONES)
        self.top = net.init("C", tz=zone()).run()
        self.towns = [net.join(self.top, f"C{n}", serves=True, tz=zone()).run() for n in (1, 2)]
        self.villages = [net.join(self.towns[n // 2], f"C{n // 2 + 1}-00{n % 2 + 1}", tz=zone()).run() for n in range(4)]
        self.stations = [self.top, *self.towns, *self.villages]
        # who types for which unit
        self.desks = [(station, station.unit) for station in self.stations] + [(self.towns[0], "C1-003"), (self.towns[1], "C2-003")]
        self.subjects = {}  # unit -> register -> {key: born or None}
        self.taken = set()  # (unit, key, form, day): two records of a form about one child on one day say nothing more
        self.typed = 0

    # -- what is typed

    def day(self, back=MONTHS_BACK * 30):
        return NOW - timedelta(days=int(back * self.pick.random() ** 2))

    def key(self, unit, register, new=0.3):
        known = self.subjects.setdefault(unit, {}).setdefault(register, {})
        if not known or self.pick.random() < new:
            key = f"{register[0]}{len(known) + 1}"
            # children whose birthdays at the edges 3, 7, 14, 16, 18 lie in the span, some of them born on a 29 February
            years = self.pick.choice((3, 7, 14, 16, 18, self.pick.randrange(1, 17)))
            born = NOW.replace(day=1) - timedelta(days=int(365.25 * years) - self.pick.randrange(-420, 60))
            if self.pick.random() < 0.25:
                born = born.replace(year=max(born.year // 4 * 4, LEAP), month=2, day=29)
            known[key] = min(born, NOW - timedelta(days=430))
        return self.pick.choice(list(known))

    def born(self, unit, key):
        return self.subjects[unit]["child"][key]

    def child_day(self, unit, key, back):
        """A day in the child's first 18 years."""
        born = self.born(unit, key)
        last = min(NOW, born.replace(year=born.year + 18, day=min(born.day, 28)) - timedelta(days=1))
        return max(born, min(last, self.day(back)))

    def file(self, unit, key, day):
        left = self.pick.random() < 0.2
        several = self.pick.sample(CATEGORIES, self.pick.choice((1, 1, 1, 2, 3, 8)))
        values = {"since": day.isoformat(), "status": "left" if left else "active", "name": f"名{key}", "birth": self.born(unit, key).isoformat(),
                  "sex": self.pick.choice("fm")}
        if not left or self.pick.random() < 0.3:
            values["category"] = several
        if left:
            values["why_left"] = "迁出"
        return values

    def assess(self, day):
        return {"day": day.isoformat(), "guardian": "none", "harm": "none", "poverty": "some", "colour": self.pick.choice(COLOURS), "why": "x"}

    def values(self, form, unit, key, day):
        pick, text = self.pick, day.isoformat()
        if form == "file":
            return self.file(unit, key, day)
        if form == "assess":
            values = self.assess(day)
            if values["colour"] == "green":
                del values["why"]
            return values
        children = pick.randrange(0, 60)
        return {
            "visit": {"day": text, "changed": pick.choice((True, False))},
            "group": {"day": text, "in_group": pick.random() < 0.7},
            "plan": {"day": text, "goal": "平安"},
            "lead": {"day": text, "source": pick.choice(("police", "health", "education", "other")), "outcome": pick.choice(("no_change", "enter", "leave"))},
            "service": {"day": text, "kind": pick.choice(("case", "group"))},
            "conference": {"day": text, "persons": pick.randrange(1, 200)},
            "project": {"since": text, "title": "项目", "kind": pick.choice(("service", "service", "group")), "status": pick.choice(("running", "running", "ended")),
                        **({"theme": pick.choice(("family", "mind", "safety"))} if pick.random() < 0.8 else {})},
            "activity": {"day": text, "children": children},
            "practice": {"day": text, "children": children, "hardship": pick.randrange(0, children + 1), **({"type": pick.choice(("visit", "skill"))} if pick.random() < 0.7 else {})},
            "facility": {"since": text, "title": "基地", "kind": pick.choice(("home", "station", "other")), "status": pick.choice(("open", "open", "closed"))},
            "post": {"since": text, "name": "人", "post": pick.choice(("inspector", "director")), "status": pick.choice(("held", "held", "ended"))},
            "organise": {"since": text, "committee": pick.choice(("set_up", "set_up", "none"))},
            "money": {"day": text, "direction": "in", "source": pick.choice(("charity", "budget")), "amount": pick.randrange(1, 10 ** 9)},
        }[form]

    FORMS = {"file": "child", "assess": "child", "visit": "child", "group": "child", "plan": "child", "lead": None, "service": None, "conference": None,
             "project": "project", "activity": "project", "practice": "facility", "facility": "facility", "post": "person", "organise": "unit",
             "money": None}
    WEIGHTS = (7, 3, 7, 2, 1, 5, 1, 2, 2, 2, 3, 2, 1, 1, 1)

    def one(self):
        """Form, unit, key and values of a new record, or None when the day is taken."""
        form = self.pick.choices(list(self.FORMS), self.WEIGHTS)[0]
        station, unit = self.pick.choice(self.desks)
        register = self.FORMS[form]
        key = unit if register == "unit" else self.key(unit, register, 0.4 if form in ("file", "project", "facility", "post") else 0.1) if register else None
        back = 90 if form == "visit" else MONTHS_BACK * 30
        day = self.child_day(unit, key, back) if register == "child" else self.day(back)
        if form == "visit" and (NOW - day).days > 90 or (unit, key, form, day) in self.taken and register:
            return None
        self.taken.add((unit, key, form, day))
        return station, form, unit, key, self.values(form, unit, key, day)

    # -- steps

    def type_some(self):
        """One request: some records of one form for one unit, as they fell together."""
        found = [one for one in (self.one() for _ in range(self.pick.choice((1, 1, 2, 6)))) if one]
        groups = {}
        for station, form, unit, key, values in found:
            groups.setdefault((station, form, unit), []).append((key, values))
        for (station, form, unit), records in groups.items():
            typed = [{**values, **({"key": key} if key else {})} for key, values in records]
            answers = station.record(form, typed, unit=unit if unit != station.unit else None)
            equal(len(answers), len(records), "answers")
            for (key, values), answer in zip(records, answers):
                self.model.add(form, unit, values, key).id = answer["record"]
            self.typed += len(records)

    def standing(self):
        chosen = [record for record in self.model.records if record.values is not None]
        return self.pick.choice(chosen) if chosen else None

    def desk(self, unit):
        return next(station for station, typed_for in self.desks if typed_for == unit)

    def correct(self):
        record = self.standing()
        if not record:
            return
        key = record.subject[2] if record.subject else None
        day = record.day
        if self.pick.random() < 0.5 and record.form != "visit":
            day = self.child_day(record.unit, key, MONTHS_BACK * 30) if record.subject and record.subject[0] == "child" else self.day()
        if record.subject and (day != record.day and (record.unit, key, record.form, day) in self.taken):
            return
        self.taken.add((record.unit, key, record.form, day))
        values = self.values(record.form, record.unit, key, day)
        answer = self.desk(record.unit).record(record.form, {**values, "record": record.id})[0]
        self.model.correct(record, values)
        equal((answer["record"], answer["revision"]), (record.id, record.revisions), "a revision of the same record")

    def withdraw(self):
        record = self.standing()
        if record:
            self.desk(record.unit).record(record.form, {"record": record.id, "void": True, "reason": "误报"})
            self.model.withdraw(record)

    def nap(self):
        """A station stops, in one way or the other; what is typed there meanwhile is typed without a node."""
        station = self.pick.choice(self.stations)
        if station.process:
            station.stop() if self.pick.random() < 0.5 else station.kill()
        else:
            station.run()

    def restart(self):
        station = self.pick.choice(self.stations)
        if station.process:
            (station.stop if self.pick.random() < 0.5 else station.kill)()
            station.run()

    def tell(self, steps):
        for _ in range(steps):
            self.pick.choices((self.type_some, self.correct, self.withdraw, self.nap, self.restart), (20, 8, 3, 3, 1))[0]()

    def wake(self):
        for station in self.stations:
            if not station.process:
                station.run()

    # -- what must hold

    def agree(self, station, indicator, period, by=()):
        unit = station.unit
        dims = tuple(name for name in by if name not in ("unit", "period") and not name.startswith("tier="))
        found = table(station.figures(indicator, period, by=",".join(by) or None), dims=dims, unit=any(name == "unit" or name.startswith("tier=") for name in by), period="period" in by)
        wanted = self.model.table(indicator, unit, period, by)
        wrong = {key: (found.get(key), wanted.get(key)) for key in {*found, *wanted} if found.get(key) != wanted.get(key)}
        if wrong:
            raise Failed(f"{indicator} at {station} in {period} by {','.join(by) or 'nothing'}: {{row: (found, wanted)}} {dict(list(wrong.items())[:8])}")
        return True

    def questions(self, indicator):
        dims = DIMS[indicator]
        yield PERIOD, ()
        yield SPAN, ()
        yield SPAN, ("period",)
        yield SPAN, ("unit",)
        yield SPAN, ("tier=village",)
        for dim in dims:
            yield SPAN, (dim,)
            yield SPAN, ("period", dim)
        if len(dims) > 1:
            yield PERIOD, ("unit", *dims[:2])
            yield PERIOD, tuple(dims)

    def settle(self):
        """Everything has arrived: the county's monthly figures are the model's."""
        for indicator in DIMS:
            wait_for(lambda: self.agree(self.top, indicator, SPAN, ("period",)), f"the county's {indicator}")

    def check_all(self):
        asked = 0
        for station in self.stations:
            for indicator in DIMS:
                for period, by in self.questions(indicator):
                    if station not in (self.top, self.towns[0]) and len(by) > 1:
                        continue
                    if "tier=village" in by and station in self.villages:
                        by = ("unit",)
                    wait_for(lambda: self.agree(station, indicator, period, by), f"{indicator} at {station}", 20)
                    asked += 1
        return asked

    def parts_add_up(self):
        """T2: members of a dimension whose members do not overlap add up to the total, `_` among them. T1: `*` is heads, not mentions."""
        for indicator, rule in INDICATORS.items():
            total = self.top.value(indicator, SPAN)
            for dim in rule.dims:
                rows = table(self.top.figures(indicator, SPAN, by=dim), dims=(dim,))
                if dim in MULTIPLE:
                    equal(rows.get(("*",), (0, 0))[1], total, f"{indicator}: {dim} *")
                else:
                    equal(sum(pair[1] for pair in rows.values()), total, f"{indicator}: members of {dim}")

    def complete(self):
        """T15: every unit has said that the last month is whole."""
        before = month_name(month_of(NOW) - 1)
        wait_for(lambda: self.top.figures("leads", before)["freshness"]["missing_count"] == 0, "all complete")
        fresh = self.top.figures("leads", before)["freshness"]
        equal((fresh["expected"], fresh["complete"], fresh["restated"], fresh["open_period"]), (len(UNITS), len(UNITS), 0, False), "freshness")


def story(seed, steps):
    with Network(UNITS) as net:
        told = Story(net, seed)
        told.tell(steps)
        told.wake()
        told.settle()
        asked = told.check_all()
        told.parts_add_up()
        told.complete()
        flows = [name for name, rule in INDICATORS.items() if isinstance(rule, Flow) and told.model.value(name, "C", SPAN)]
        check(len(flows) >= 8, "the story says something of", flows)
        comment(f"seed {seed}: {told.typed} records, {asked} questions at {len(told.stations)} stations, children on file: {told.model.value('children', 'C', PERIOD)}")


def test_histories_that_were_asked_for():
    """SANJI_SEEDS="5 6 7" tells those, for a longer search."""
    for seed in os.environ["SANJI_SEEDS"].split():
        story(int(seed), int(os.environ.get("SANJI_STEPS", "110")))


def test_random_history_1_T1_T2_T6_T7_T8_T12_T14_T15_T17():
    story(1, 110)


def test_random_history_2_T1_T2_T6_T7_T8_T12_T14_T15_T17():
    story(2, 110)


def test_random_history_3_T1_T2_T6_T7_T8_T12_T14_T15_T17():
    story(3, 110)


def test_random_history_4_T1_T2_T6_T7_T8_T12_T14_T15_T17():
    story(4, 110)


# ---- one trap at a time

def child(key, since, born, **more):
    return {"key": key, "since": since.isoformat(), "status": "active", "name": "戊", "birth": born.isoformat(), "sex": "f", "category": ["orphan"], **more}


def test_T1_T2_a_child_in_eight_categories_is_one_child_and_a_missing_member_shows():
    with Network(UNITS) as net:
        top = net.init("C")
        top.record("file", [child("a", NOW, NOW - timedelta(days=2000), category=list(CATEGORIES)), child("b", NOW, NOW - timedelta(days=2000))])
        top.record("visit", {"key": "a", "day": NOW.isoformat()})
        rows = table(top.figures("children", PERIOD, by="category"), dims=("category",))
        equal(rows, {("*",): (2, 2), ("orphan",): (2, 2), **{(name,): (1, 1) for name in CATEGORIES if name != "orphan"}}, "by category")
        equal(top.value("children", PERIOD), 2, "heads")
        equal(table(top.figures("visits", PERIOD, by="colour"), dims=("colour",)), {("_",): (1, 1)}, "nobody has assessed it")
        result = top.figures("children", PERIOD, where=("category=orphan", "category=disabled"), code=1)
        check("overlap" in result.err, "members that overlap are not added", result.err)


def test_T6_T8_the_order_of_arrival_does_not_show():
    """The same records in three orders: of day, backwards, and with corrections between."""
    day = [NOW - timedelta(days=days) for days in (80, 50, 40, 20, 1)]
    born = NOW - timedelta(days=3000)
    texts = [("file", child("a", day[0], born)), ("file", {**child("a", day[2], born), "status": "left", "why_left": "x"}),
             ("assess", {"key": "a", "day": day[1].isoformat(), "guardian": "none", "harm": "grave", "poverty": "none", "colour": "red"}),
             ("visit", {"key": "a", "day": day[1].isoformat()}), ("visit", {"key": "a", "day": day[3].isoformat()}),
             ("file", child("a", day[4], born, category=["disabled"]))]
    found = []
    with Network(UNITS) as net:
        for order in (range(6), reversed(range(6)), (3, 5, 0, 4, 2, 1)):
            station = net.init("C", f"order-{len(found)}")
            for index in order:
                station.record(*texts[index])
            found.append([table(station.figures(name, SPAN, by=by), dims=tuple(by.split(",")[1:]), period=True) for name in ("children", "visits") for by in
                          ("period", "period,category", "period,colour")])
        check(found[0] == found[1] == found[2], "three orders, one figure", found)
        check(found[0][0], "there is a figure")


def test_T6_of_two_records_of_one_day_the_one_typed_later_stands():
    with Network(UNITS) as net:
        top, model = net.init("C"), Model(UNITS, NOW)
        born = NOW - timedelta(days=3000)
        first, second = child("a", NOW, born, category=["orphan"]), child("a", NOW, born, category=["disabled", "hardship"])
        for record in (first, second, first):
            top.record("file", record)
            model.add("file", "C", record, "a")
        together = [{**record, "key": "b"} for record in (first, second)]
        top.record("file", together)
        for record in together:
            model.add("file", "C", record, "b")
        equal(table(top.figures("children", PERIOD, by="category"), dims=("category",)), model.table("children", "C", PERIOD, ["category"]), "by category")


def test_T7_a_correction_and_a_withdrawal_change_by_their_difference():
    with Network(UNITS) as net:
        top = net.init("C")
        record = top.record("conference", {"day": NOW.isoformat(), "persons": 10})[0]["record"]
        before = NOW.replace(day=1) - timedelta(days=1)
        steps = (({"day": NOW.isoformat(), "persons": 4}, 4, 0), ({"day": before.isoformat(), "persons": 4}, 0, 4), ({"day": NOW.isoformat(), "persons": 9}, 9, 0))
        for revision, (values, now, then) in enumerate(steps, 2):
            equal(top.record("conference", {**values, "record": record})[0]["revision"], revision, "revision")
            equal((top.value("conference", PERIOD), top.value("conference", month_name(month_of(before)))), (now, then), values)
        top.record("conference", {"record": record, "void": True, "reason": "误报"})
        equal(top.value("conference", SPAN), 0, "withdrawn")
        equal(top.status()["records"], 1, "and still one record")
        top.record("conference", {"day": NOW.isoformat(), "persons": 5, "record": record})
        equal(top.value("conference", SPAN), 5, "a later revision stands again")


def test_T14_birthdays_move_a_child_between_bands_and_leave_the_total():
    """One child a birthday, on file since long before: each month's bands are those of its last day. 29 February turns on 1 March."""
    with Network(UNITS) as net:
        top = net.init("C")
        model = Model(UNITS, NOW)
        start = NOW - timedelta(days=400)
        first, births = NOW.replace(day=1), []
        for edge in (3, 7, 14, 16):
            births += [first.replace(year=first.year - edge), (first - timedelta(days=1)).replace(day=28, year=first.year - edge), NOW.replace(year=NOW.year - edge, day=min(NOW.day, 28))]
        births += [start.replace(year=LEAP, month=2, day=29), start.replace(year=LEAP + 8, month=2, day=29), NOW + timedelta(days=3) - timedelta(days=365 * 7)]
        births = [born for born in births if born <= start]
        records = [child(f"k{number}", start, born) for number, born in enumerate(births)]
        top.record("file", records)
        for record in records:
            model.add("file", "C", record, record["key"])
        long_span = f"{month_name(month_of(start) - 1)}..{PERIOD}"
        for by in (("period",), ("period", "age"), ("age",), ("age", "sex")):
            dims = tuple(name for name in by if name != "period")
            equal(table(top.figures("children", long_span, by=",".join(by)), dims=dims, period="period" in by), model.table("children", "C", long_span, by), by)
        for month in range(month_of(start), month_of(NOW) + 1):
            equal(top.value("children", month_name(month)), len(births), f"the total in {month_name(month)}")


def test_T14_asleep_over_birthdays_and_awake_again():
    """A village sleeps for six months, in which children turn 7 and 16 and one leaves: once it wakes it says what it would have said."""
    with Network(UNITS) as net:
        net.days = -184
        then = NOW - timedelta(days=184)
        model = Model(UNITS, NOW)
        top, town, village = net.chain("C", "C1", "C1-001")
        births = [(then + timedelta(days=days)).replace(year=(then + timedelta(days=days)).year - years, day=min(28, (then + timedelta(days=days)).day))
                  for days, years in ((10, 7), (100, 7), (150, 16), (170, 3), (183, 14), (200, 7))] + [NOW.replace(year=LEAP, month=2, day=29)]
        for number, born in enumerate(births):
            record = child(f"k{number}", then - timedelta(days=40), born)
            village.record("file", record)
            model.add("file", "C1-001", record, record["key"])
        wait_for(lambda: top.value("children", month_name(month_of(then))) == len(births), "all on file at the county")
        for station in (village, town, top):
            station.stop()
            station.days = 0
        span = f"{month_name(month_of(then) - 1)}..{PERIOD}"
        for station in (top, town):
            station.run()
        equal(top.value("children", PERIOD), len(births), "the total needs no waking")
        village.run()
        for by in (("period", "age"), ("age",), ("period", "age", "sex"), ("period",)):
            dims = tuple(name for name in by if name != "period")
            for station in (village, top):
                def awake(station=station):
                    equal(table(station.figures("children", span, "C1-001", by=",".join(by)), dims=dims, period="period" in by), model.table("children", "C1-001", span, by), f"{station} by {by}")
                    return True
                wait_for(awake, f"bands at {station}")


def test_T15_zero_and_silent_differ():
    """All have said that a month is whole; a month later one of them is away: it is named, and its zero is no zero."""
    with Network(UNITS) as net:
        net.days = -40
        top, town = net.chain("C", "C1", leaf=False)
        zero, silent = net.join(town, "C1-001").run(), net.join(town, "C1-002").run()

        def missing(station, month):
            return {unit["code"] for unit in station.figures("leads", month)["freshness"]["missing"]}
        wait_for(lambda: not missing(top, month_name(month_of(NOW - timedelta(days=40)) - 1)), "all complete, then")
        for station in (silent, zero, town, top):
            station.stop()
            station.days = 0
        for station in (top, town, zero):
            station.run()
        before = month_name(month_of(NOW) - 1)
        wait_for(lambda: missing(top, before) == {"C1-002"}, "the silent one alone is missing")
        equal(top.value("leads", before), 0, "the figure is zero for both")
        fresh = top.figures("leads", before)["freshness"]
        equal((fresh["expected"], fresh["complete"], fresh["missing_count"]), (len(UNITS), len(UNITS) - 1, 1), "freshness")
        check("missing" in top.cli("figures", "-i", "leads", "-p", before).out, "and people are told")
        silent.run()
        wait_for(lambda: not missing(top, before), "nobody is missing")
        zero.kill()
        zero.record("lead", {"day": f"{before}-11", "source": "police", "outcome": "enter"})
        zero.run()
        wait_for(lambda: top.value("leads", before) == 1, "a late lead moves the figure")
        wait_for(lambda: top.figures("leads", before)["freshness"]["restated"] == 0 and not missing(top, before), "and the month is said to be whole again")


def test_fault_58_a_clock_ten_years_off():
    """A village's clock goes ten years wrong and back: this month's figures are not moved, its parent takes what it signs, and it goes on."""
    with Network(UNITS) as net:
        top, town, village = net.chain("C", "C1", "C1-001")
        village.record("conference", {"day": NOW.isoformat(), "persons": 1})
        wait_for(lambda: top.value("conference", PERIOD) == 1, "one")
        for days, day in ((3653, NOW + timedelta(days=3653)), (-3653, NOW - timedelta(days=3653))):
            village.stop()
            village.days = days
            village.run()
            village.record("conference", {"day": day.isoformat(), "persons": 7})
            wait_for(lambda: village.value("conference", month_name(month_of(day))) == 7, "it believes its clock")
            wait_for(lambda: village.live() and village.up()["backlog_rows"] == 0, "its parent takes what it signs")
            equal(top.value("conference", PERIOD), 1, "this month is as it was")
        village.stop()
        village.days = 0
        village.run()
        village.record("conference", {"day": NOW.isoformat(), "persons": 2})
        wait_for(lambda: top.value("conference", PERIOD) == 3, "it goes on")
        check(top.figures("conference", PERIOD)["freshness"]["newest_ms"] < (time.time() + 60) * 1000, "no figure is fresher than its arrival")


def test_T17_the_machine_s_time_zone_does_not_show():
    """The same moment has three dates on three machines; a record's month and its ages do not follow them."""
    day = NOW.replace(day=1)
    found = []
    with Network(UNITS) as net:
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", *ZONES):
            station = net.init("C", "zone-" + zone.replace("/", "-"), tz=zone).run()
            station.record("file", [child("a", day, day.replace(year=day.year - 7)), child("b", day - timedelta(days=1), day.replace(year=day.year - 14))])
            station.record("visit", [{"key": "a", "day": day.isoformat()}, {"key": "b", "day": (day - timedelta(days=1)).isoformat()}])
            station.record("conference", {"day": NOW.isoformat(), "persons": 3})
            result = station.record("conference", {"day": (NOW + timedelta(days=2)).isoformat(), "persons": 3}, code=1)
            check("day <= today" in result.err, "today is the codebook's", result.err)
            found.append([table(station.figures(name, SPAN, by=by), dims=tuple(by.split(",")[1:]), period=True) for name, by in
                          (("children", "period,age"), ("visits", "period"), ("conference", "period"))])
        check(all(each == found[0] for each in found), "one figure in five zones", found)
        equal(found[0][1], {(month_name(month_of(day) - 1),): (1, 1), (PERIOD,): (1, 1)}, "the last day of a month and the first of the next")


run(*([test_histories_that_were_asked_for] if os.environ.get("SANJI_SEEDS") else []),
    test_random_history_1_T1_T2_T6_T7_T8_T12_T14_T15_T17, test_random_history_2_T1_T2_T6_T7_T8_T12_T14_T15_T17,
    test_random_history_3_T1_T2_T6_T7_T8_T12_T14_T15_T17, test_random_history_4_T1_T2_T6_T7_T8_T12_T14_T15_T17,
    test_T1_T2_a_child_in_eight_categories_is_one_child_and_a_missing_member_shows, test_T6_T8_the_order_of_arrival_does_not_show,
    test_T6_of_two_records_of_one_day_the_one_typed_later_stands,
    test_T7_a_correction_and_a_withdrawal_change_by_their_difference, test_T14_birthdays_move_a_child_between_bands_and_leave_the_total,
    test_T14_asleep_over_birthdays_and_awake_again, test_T15_zero_and_silent_differ, test_fault_58_a_clock_ten_years_off,
    test_T17_the_machine_s_time_zone_does_not_show)
