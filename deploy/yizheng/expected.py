"""What the records of records.py must come to, counted here a second time, without any station: one dictionary of rules an indicator."""
from datetime import date

from yizheng.records import FIRST, LAST

BEFORE = date(FIRST.year - 1, 12, 31)

# flow: form, condition, value. Each in the words of the codebook's indicator of the same name.
FLOWS = {
    "visits": ("visit", None, None),
    "assessments": ("assess", None, None),
    "leads": ("lead", None, None),
    "leads_confirmed": ("lead", lambda r: r["outcome"] in ("enter", "leave"), None),
    "reports": ("report", None, None),
    "plans": ("plan", None, None),
    "services": ("service", None, None),
    "activities": ("activity", None, None),
    "sheltered": ("shelter", None, None),
    "conference": ("conference", None, "persons"),
    "items": ("item", None, None),
    "practice": ("practice", None, None),
    "practice_children": ("practice", None, "children"),
    "practice_hardship": ("practice", None, "hardship"),
    "volunteers": ("volunteers", None, "number"),
    "classes": ("class", None, None),
    "class_children": ("class", None, "children"),
    "funds_in": ("money", lambda r: r["direction"] == "in", "amount"),
    "funds_out": ("money", lambda r: r["direction"] == "out", "amount"),
}
# stock: forms whose records say what is so from their day on, and the condition on what is known of a subject.
STOCKS = {
    "children": (("file", "assess", "group"), lambda s: s.get("status") == "active"),
    "group_plans": (("file", "assess", "group"), lambda s: s.get("in_group") and s.get("status") == "active"),
    "directors": (("post",), lambda s: s["post"] == "director" and s["status"] == "held"),
    "supervisors": (("post",), lambda s: s["post"] == "supervisor" and s["status"] == "held"),
    "inspectors": (("post",), lambda s: s["post"] == "inspector" and s["status"] == "held"),
    "committees": (("organise",), lambda s: s["committee"] == "set_up"),
    "projects": (("project",), lambda s: s["kind"] == "service" and s["status"] == "running"),
    "group_projects": (("project",), lambda s: s["kind"] == "group" and s["status"] == "running"),
    "bases": (("facility",), lambda s: s["kind"] == "base" and s["status"] == "open"),
    "demo_stations": (("facility",), lambda s: s["kind"] == "station" and s["status"] == "open" and s.get("demo")),
}
# Flows that count each record once: how many of them have arrived somewhere says how far along all is.
EACH_ONCE = ["leads", "visits", "assessments", "reports", "plans", "services", "activities", "sheltered", "items", "practice", "classes"]


def day_of(record):
    return date.fromisoformat(record.get("day") or record["since"])


def matches(record, where):
    return all(record.get(dimension) == code for dimension, code in where.items())


def flow(station, indicator, where, first, last):
    form, condition, value = FLOWS[indicator]
    return sum(record[value] if value else 1 for record in station.settled().get(form, [])
               if first <= day_of(record) <= last and matches(record, where) and (not condition or condition(record)))


def level(station, indicator, where, last):
    forms, condition = STOCKS[indicator]
    batches = station.settled()
    records = [record for form in forms for record in batches.get(form, []) if day_of(record) <= last]
    subjects = {}
    for record in sorted(records, key=day_of):
        subjects.setdefault(record.get("key"), {}).update(record)
    return sum(1 for subject in subjects.values() if matches(subject, where) and condition(subject))


def of_figure(figure, stations):
    """What a published figure comes to over these stations."""
    if figure.how == "entered":
        return sum(value for station in stations for indicator, _, value in station.entered if indicator == figure.indicator)
    if figure.indicator in FLOWS:
        return sum(flow(station, figure.indicator, figure.where, FIRST, LAST) for station in stations)
    total = sum(level(station, figure.indicator, figure.where, LAST) for station in stations)
    if figure.measure == "change":
        total -= sum(level(station, figure.indicator, figure.where, BEFORE) for station in stations)
    return total


def arriving(stations):
    """How many records the flows of EACH_ONCE count, whatever their period."""
    return sum(flow(station, indicator, {}, date.min, date.max) for station in stations for indicator in EACH_ONCE)
