"""What the figures must be: every record kept as it was typed, and every answer worked out from all of them, each time from nothing.

This is a second reading of the codebook's meaning. It shares no code with the program, reads no codebook, and calls nothing: the
indicators below are written out by hand. It is slow and short on purpose.
"""
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction

EAST = timezone(timedelta(hours=8))  # the codebook's time zone
AGES = (3, 7, 14, 16, 18)
AGE_NAMES = ("0-2", "3-6", "7-13", "14-15", "16-17", "18+")


def today():
    return datetime.now(EAST).date()


# ---- time

def month_of(day):
    return day.year * 12 + day.month - 1


def last_day(month):
    year, index = divmod(month + 1, 12)
    return date(year, index + 1, 1) - timedelta(days=1)


def months_of(period):
    """"2026-05", "2026-Q2", "2026" -> first and last month."""
    if "Q" in period:
        first = int(period[:4]) * 12 + 3 * int(period[-1]) - 3
        return first, first + 2
    if "-" in period:
        month = int(period[:4]) * 12 + int(period[5:]) - 1
        return month, month
    return int(period) * 12, int(period) * 12 + 11


def month_name(month):
    return f"{month // 12}-{month % 12 + 1:02}"


def split(period):
    first, _, last = period.partition("..")
    return months_of(first)[0], months_of(last or first)[1]


def age(born, day):
    """Full years; who was born on 29 February turns older on 1 March of a common year."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def age_name(born, day):
    if born is None or day < born:
        return "_"
    return AGE_NAMES[sum(age(born, day) >= edge for edge in AGES)]


# ---- what is recorded

class Record:
    """A record and its revisions; `values` None once it is withdrawn. `turn`: when its last revision was typed, beside others."""

    def __init__(self, form, unit, subject, values, turn):
        self.form, self.unit, self.subject, self.values, self.turn = form, unit, subject, values, turn
        self.id = None
        self.revisions = 1

    @property
    def day(self):
        return date.fromisoformat(self.values.get("day") or self.values["since"])


# form -> (register, {field kept: property})
KEEPS = {
    "file": ("child", {name: name for name in ("status", "name", "idno", "birth", "sex", "category", "home")}),
    "assess": ("child", {"colour": "colour"}),
    "group": ("child", {"in_group": "in_group"}),
    "visit": ("child", {}),
    "plan": ("child", {}),
    "project": ("project", {name: name for name in ("title", "kind", "theme", "status")}),
    "activity": ("project", {}),
    "facility": ("facility", {name: name for name in ("title", "kind", "base_type", "demo", "stars", "status")}),
    "practice": ("facility", {}),
    "item": ("facility", {}),
    "post": ("person", {name: name for name in ("name", "phone", "post", "status")}),
    "organise": ("unit", {"committee": "committee"}),
}


def one(*_):
    return 1


def always(*_):
    return True


class Flow:
    """A count of records of a form, in the month of their day, under the unit that recorded them."""

    def __init__(self, form, where=always, value=one, **dims):
        self.form, self.where, self.value, self.dims = form, where, value, dims


class Stock:
    """A count of subjects as they stand at the end of a day, under the unit that holds them."""

    def __init__(self, register, where, **dims):
        self.register, self.where, self.dims = register, where, dims


def field(name):
    return lambda values, props, day: [values.get(name) or "_"]


def prop(name):
    return lambda values, props, day: [props.get(name) or "_"]


def categories(values, props, day):
    """A child in two of them counts in each, and once in `*`; a child in none is `_`."""
    return sorted(set(props.get("category") or ["_"])) + ["*"]


def ages(values, props, day):
    born = props.get("birth")
    return [age_name(date.fromisoformat(born) if born else None, day)]


MULTIPLE = {"category"}
INDICATORS = {
    "visits": Flow("visit", category=categories, colour=prop("colour")),
    "assessments": Flow("assess", colour=field("colour")),
    "leads": Flow("lead", outcome=field("outcome")),
    "leads_by_source": Flow("lead", source=field("source")),
    "leads_confirmed": Flow("lead", where=lambda values, props: values["outcome"] in ("enter", "leave"), source=field("source")),
    "plans": Flow("plan"),
    "services": Flow("service", kind=field("kind")),
    "activities": Flow("activity", where=lambda values, props: props.get("kind") == "service", theme=prop("theme")),
    "conference": Flow("conference", value=lambda values, props: values["persons"]),
    "practice": Flow("practice", type=field("type")),
    "practice_children": Flow("practice", value=lambda values, props: values["children"]),
    "practice_hardship": Flow("practice", value=lambda values, props: values["hardship"]),
    "funds_in": Flow("money", where=lambda values, props: values["direction"] == "in", value=lambda values, props: values["amount"],
                     source=field("source")),
    "children": Stock("child", lambda props: props.get("status") == "active", category=categories, colour=prop("colour"), sex=prop("sex"),
                      age=ages),
    "group_plans": Stock("child", lambda props: props.get("in_group") is True and props.get("status") == "active"),
    "projects": Stock("project", lambda props: props.get("kind") == "service" and props.get("status") == "running", theme=prop("theme")),
    "facilities": Stock("facility", lambda props: props.get("status") == "open", kind=prop("kind")),
    "inspectors": Stock("person", lambda props: props.get("post") == "inspector" and props.get("status") == "held"),
    "committees": Stock("unit", lambda props: props.get("committee") == "set_up"),
}
RATIOS = {
    "confirmed_rate": ("leads_confirmed", "leads_by_source"),
    "hardship_share": ("practice_hardship", "practice_children"),
}
ENTERED = {"population": "village"}  # the tier whose units have a value


def combinations(dims, values, props, day):
    """Every combination of one member of each dimension that something counts in."""
    found = [{}]
    for name, members in dims.items():
        found = [{**known, name: member} for known in found for member in members(values, props, day)]
    return found


class Model:
    def __init__(self, units, day=None):
        """units: (code, name, tier, parent) rows."""
        self.tier = {code: tier for code, _, tier, _ in units}
        self.children = defaultdict(list)
        for code, _, _, parent in units:
            self.children[parent].append(code)
        self.records = []
        self.values = {}     # entered: (indicator, unit, period) -> value
        self.turn = 0
        self.day = day or today()
        self.worked_out = {}

    # -- typing

    def _turn(self):
        self.turn += 1
        self.worked_out = {}
        return self.turn

    def add(self, form, unit, values, key=None):
        register = KEEPS[form][0] if form in KEEPS else None
        subject = (register, unit, unit if register == "unit" else key) if register else None
        record = Record(form, unit, subject, dict(values), self._turn())
        self.records.append(record)
        return record

    def correct(self, record, values):
        record.values, record.turn, record.revisions = dict(values), self._turn(), record.revisions + 1

    def withdraw(self, record):
        record.values, record.turn, record.revisions = None, self._turn(), record.revisions + 1

    def enter(self, indicator, unit, period, value):
        self.values[indicator, unit, period] = value
        self.worked_out = {}

    # -- counting

    def standing(self):
        return [record for record in self.records if record.values is not None]

    def props(self, subject, day):
        """What the records dated up to a day's end have said, the latest word of each."""
        said = {}
        history = [record for record in self.standing() if record.subject == subject and record.day <= day]
        for record in sorted(history, key=lambda record: (record.day, record.turn)):
            for name, kept in KEEPS[record.form][1].items():
                if record.values.get(name) is not None:
                    said[kept] = record.values[name]
        return said

    def flow(self, indicator):
        """unit -> month -> [(members, value)]."""
        rule, found = INDICATORS[indicator], defaultdict(lambda: defaultdict(list))
        for record in self.standing():
            if record.form != rule.form:
                continue
            props = self.props(record.subject, record.day) if record.subject else {}
            if rule.where(record.values, props):
                for members in combinations(rule.dims, record.values, props, record.day):
                    found[record.unit][month_of(record.day)].append((members, rule.value(record.values, props)))
        return found

    def stock(self, indicator, month):
        """unit -> [(members, 1)] as of the month's end, or of today while it runs."""
        rule, found = INDICATORS[indicator], defaultdict(list)
        day = min(last_day(month), self.day)
        for subject in sorted({record.subject for record in self.standing() if record.subject and record.subject[0] == rule.register}):
            props = self.props(subject, day)
            if rule.where(props):
                found[subject[1]] += [(members, 1) for members in combinations(rule.dims, {}, props, day)]
        return found

    def counted(self, indicator, first, last):
        """unit -> [(members, value)] over months."""
        key = indicator, first, last
        if key not in self.worked_out:
            if isinstance(INDICATORS[indicator], Stock):
                self.worked_out[key] = self.stock(indicator, last)
            else:
                if (indicator,) not in self.worked_out:
                    self.worked_out[indicator,] = self.flow(indicator)
                self.worked_out[key] = {unit: [pair for month, pairs in months.items() if first <= month <= last for pair in pairs]
                                        for unit, months in self.worked_out[indicator,].items()}
        return self.worked_out[key]

    def below(self, unit):
        yield unit
        for child in self.children[unit]:
            yield from self.below(child)

    def own(self, indicator, unit, first, last, by=(), where=()):
        """{members of `by`: value} of one unit alone. What is not asked for is summed: a dimension with overlapping members by its `*`."""
        sums = defaultdict(int)
        for members, value in self.counted(indicator, first, last).get(unit, ()):
            wanted = dict(where)
            left_out = [dim for dim in members if dim not in by and dim not in wanted]
            if all(members[dim] == "*" for dim in left_out if dim in MULTIPLE) and all(members[dim] == code for dim, code in wanted.items()):
                sums[tuple(members[dim] for dim in by)] += value
        return sums

    def sums(self, indicator, units, first, last, by=(), where=()):
        total = defaultdict(int)
        for unit in units:
            for key, value in self.own(indicator, unit, first, last, by, where).items():
                total[key] += value
        return total

    def value(self, indicator, unit, period, where=()):
        first, last = split(period)
        return self.sums(indicator, self.below(unit), first, last, (), where)[()]

    def entered(self, indicator, unit, period):
        return sum(self.values.get((indicator, each, period), 0) for each in self.below(unit) if self.tier[each] == ENTERED[indicator])

    def table(self, indicator, unit, period, by=()):
        """The rows of `sanji figures --by ...` as harness.table() gives them: {key: (own, with all below)}, zeros left out."""
        by = list(by)
        first, last = split(period)
        columns = [(month_name(month), month, month) for month in range(first, last + 1)] if "period" in by else [(None, first, last)]
        tier = next((name.removeprefix("tier=") for name in by if name.startswith("tier=")), None)
        if "unit" in by:
            rows = [(unit, True)] + [(child, False) for child in self.children[unit]]
        elif tier:
            rows = [(each, False) for each in self.below(unit) if self.tier[each] == tier]
        else:
            rows = [(unit, False)]
        dims = tuple(name for name in by if name not in ("unit", "period") and not name.startswith("tier="))
        found = {}
        for code, itself in rows:
            for name, from_month, to_month in columns:
                head = ((code, itself) if "unit" in by or tier else ()) + ((name,) if name else ())
                for key, pair in self.pairs(indicator, code, itself, from_month, to_month, dims).items():
                    if pair != (0, 0):
                        found[head + key] = pair
        return found

    def pairs(self, indicator, code, itself, first, last, dims):
        below = [code] if itself else list(self.below(code))
        if indicator in RATIOS:
            parts = [(self.own(name, code, first, last, dims), self.sums(name, below, first, last, dims)) for name in RATIOS[indicator]]
            keys = {key for own, total in parts for key in (*own, *total)}
            return {key: (ratio(parts[0][0][key], parts[1][0][key]), ratio(parts[0][1][key], parts[1][1][key])) for key in keys}
        own, total = self.own(indicator, code, first, last, dims), self.sums(indicator, below, first, last, dims)
        return {key: (own[key], total[key]) for key in {*own, *total}}


def ratio(part, whole):
    """In ten-thousandths, halves away from zero; 0 where there is nothing to divide by."""
    if whole == 0:
        return 0
    exact = Fraction(part * 10000, whole)
    return int(exact + Fraction(1, 2)) if exact >= 0 else -int(-exact + Fraction(1, 2))
