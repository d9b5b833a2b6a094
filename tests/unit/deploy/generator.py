#!/usr/bin/env python3
"""The quickstart's made-up year adds up to the published figures, is the same each time, and holds nothing that could be a real person.
Prints TAP."""
import json
import re
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "deploy"))
from yizheng import expected, records  # noqa: E402

TODAY = date(2026, 3, 2)
stations = records.generate(TODAY)
figures = records.load_figures()
tests = []


def test(function):
    tests.append(function)
    return function


def everything():
    return [(station, form, record) for station in stations.values() for form, batch in station.settled().items() for record in batch]


def same(got, wanted, what):
    assert got == wanted, f"{what}: {got}, not {wanted}"


@test
def the_tree_is_the_real_one():
    units = records.load_units()
    same(Counter(unit.tier for unit in units), {"county": 1, "township": 18, "village": 197}, "units")
    codes = {unit.code for unit in units}
    same(len(codes), 216, "codes")
    assert all(unit.parent in codes for unit in units[1:]) and units[0].parent == ""
    assert all(unit.code[:9] == unit.parent[:9] for unit in units if unit.tier == "village")
    same(list(stations), [unit.code for unit in units], "order of stations")


@test
def every_published_figure_comes_out_exactly():
    same(len({figure.id for figure in figures}), len(figures), "figure ids")
    for figure in figures:
        same(expected.of_figure(figure, stations.values()), figure.target, figure.id)


@test
def figures_say_where_they_come_from():
    for figure in figures:
        assert figure.source and figure.zh and figure.en, figure.id
        assert figure.how == ("entered" if figure.indicator in ("inspection_teams", "member_units") else "computed"), figure.id
        same(figure.published().endswith("+"), figure.least, figure.id)


@test
def the_codebook_has_these_indicators():
    text = (Path(__file__).resolve().parents[3] / "schema/codebook/child-protection.yaml").read_text(encoding="utf-8")
    kinds = dict(re.findall(r"^  - \{id: (\w+), kind: (\w+)", text, re.MULTILINE))
    for figure in figures:
        same(kinds.get(figure.indicator) == "entered", figure.how == "entered", figure.indicator)
        assert figure.indicator in kinds, figure.indicator
    forms = set(re.findall(r"^  - id: (\w+)", text, re.MULTILINE))
    same(set(records.FORMS) - forms, set(), "forms that the codebook does not have")
    for indicator in list(expected.FLOWS) + list(expected.STOCKS):
        same(kinds.get(indicator), "flow" if indicator in expected.FLOWS else "stock", indicator)


@test
def by_town_the_children_change_by_entered_less_left():
    moved = 0
    for town in [station for station in stations.values() if station.unit.tier == "township"]:
        below = [station for station in stations.values() if station.unit.parent == town.unit.code]
        change = sum(expected.level(s, "children", {}, expected.LAST) - expected.level(s, "children", {}, expected.BEFORE) for s in below)
        enter, leave = (sum(expected.flow(s, "leads", {"outcome": outcome}, expected.FIRST, expected.LAST) for s in below)
                        for outcome in ("enter", "leave"))
        same(change, enter - leave, town.unit.name)
        moved += enter + leave
    same(moved, 61, "leads that moved a child")


@test
def children_on_file_when_the_year_begins():
    same(sum(expected.level(s, "children", {}, expected.BEFORE) for s in stations.values()), records.CHILDREN_BEFORE, "children")


@test
def only_the_correction_makes_the_total_right():
    corrections = [(station, correction) for station in stations.values() for correction in station.corrections]
    same(len(corrections), 1, "corrections")
    station, correction = corrections[0]
    typed = station.batches[correction.form][correction.index]
    same((typed["outcome"], correction.record["outcome"]), ("enter", "no_change"), "outcome typed and meant")
    same(sum(lead["outcome"] == "enter" for s in stations.values() for lead in s.batches.get("lead", [])), 44, "entered before the correction")


@test
def the_same_seed_gives_the_same_bytes():
    def bytes_of(made):
        return json.dumps([[code, s.batches, [vars(c) for c in s.corrections], s.entered] for code, s in made.items()], ensure_ascii=False)
    assert bytes_of(records.generate(TODAY)) == bytes_of(stations)
    assert bytes_of(records.generate(TODAY, records.SEED + 1)) != bytes_of(stations)


@test
def another_seed_keeps_the_totals():
    for seed in (1, 2, 3):
        other = records.generate(TODAY, seed)
        for figure in figures:
            same(expected.of_figure(figure, other.values()), figure.target, f"{figure.id}, seed {seed}")


@test
def days_are_ones_that_the_codebook_takes():
    for _, form, record in everything():
        day = expected.day_of(record)
        if form == "visit":
            assert timedelta(0) <= TODAY - day <= timedelta(days=92), record
        else:
            assert day <= expected.LAST, record
        if form == "file":
            born = date.fromisoformat(record["birth"])
            assert born <= day and (day - born).days < 18 * 365, record


@test
def a_child_is_on_file_before_anything_is_said_about_it():
    for station in stations.values():
        since = {}
        for file in station.batches.get("file", []):
            since.setdefault(file["key"], expected.day_of(file))
        for form in ("assess", "plan", "group", "visit"):
            for record in station.batches.get(form, []):
                assert since[record["key"]] <= expected.day_of(record), (station.unit.code, form, record)
        same(list(station.batches), [form for form in records.FORMS if form in station.batches], "order of forms")


@test
def each_visited_child_is_still_on_file():
    for station in stations.values():
        left = {file["key"] for file in station.batches.get("file", []) if file["status"] == "left"}
        assert not left & {visit["key"] for visit in station.batches.get("visit", [])}, station.unit.code


@test
def nothing_looks_like_a_real_person():
    for _, form, record in everything():
        for name in ("name", "facts", "told_by", "findings", "goal", "summary", "decision", "why_left", "title"):
            assert record.get(name, "示例").startswith("示例"), (form, record)
        assert not {"idno", "phone", "guardian_phone", "told_phone", "place", "photo"} & set(record), (form, record)


@test
def every_unit_records_something():
    assert all(station.batches.get("organise") for station in stations.values())
    same(sum(bool(s.batches.get("lead")) for s in stations.values()), 181, "villages with leads")


@test
def shares_add_up_and_keep_the_least():
    rng = records.random.Random(5)
    for total, count, least in ((600, 10, 20), (7, 7, 1), (15, 6, 1), (0, 1, 0), (11000, 316, 10)):
        parts = records.shares(rng, total, count, least)
        same((sum(parts), len(parts)), (total, count), "shares")
        assert min(parts) >= least


print(f"1..{len(tests)}")
failed = 0
for number, function in enumerate(tests, 1):
    try:
        function()
        print(f"ok {number} - {function.__name__}")
    except AssertionError as error:
        failed += 1
        print(f"not ok {number} - {function.__name__}\n# {error}")
sys.exit(1 if failed else 0)
