"""A made-up year of 仪征市 that adds up exactly to its published figures of 2023 (figures.csv) over its real units (units.csv).

Every child, worker, place and text in it is artificial and says so in its name; only the totals are from the published account. The same
seed and the same day give the same records on every machine. Nothing here talks to a station: county.py does.
"""
import csv
import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).parent
SEED = 321081
FIRST, LAST = date(2023, 1, 1), date(2023, 12, 31)
CHILDREN_BEFORE = 1160  # on file when the year begins: ours, the account gives none
VISIT_DAYS = 84  # the account counts no visits: ours are of the twelve weeks before today, as a running county would have them
VISITS = {"red": 12, "yellow": 6, "blue": 3, "green": 3}  # in those weeks: weekly, half-monthly, monthly; the 1+N team comes to all monthly

# Forms in the order in which a station records them: a child comes on file before anything is said about it.
FORMS = ["organise", "post", "facility", "project", "file", "assess", "plan", "group", "report", "service", "lead", "conference", "activity",
         "item", "practice", "volunteers", "class", "shelter", "money", "visit"]
# Who types it in.
POSTS = {"village": "director", "township": "supervisor", "county": "office"}


@dataclass
class Unit:
    code: str
    name: str
    tier: str
    parent: str


@dataclass
class Correction:
    """Record `index` of the station's batch of `form` was typed in wrong; `record` is what it should say."""
    form: str
    index: int
    record: dict


@dataclass
class Station:
    unit: Unit
    batches: dict = field(default_factory=dict)  # form -> records, in the order of FORMS
    corrections: list = field(default_factory=list)
    entered: list = field(default_factory=list)  # (indicator, period, value)

    def add(self, form, record):
        self.batches.setdefault(form, []).append(record)

    def count(self):
        return sum(map(len, self.batches.values())) + len(self.corrections)

    def settled(self):
        """form -> records as they stand after the corrections."""
        batches = {form: list(records) for form, records in self.batches.items()}
        for correction in self.corrections:
            batches[correction.form][correction.index] = correction.record
        return batches


@dataclass
class Figure:
    id: str
    indicator: str
    where: dict  # dimension -> code
    measure: str  # total: of the year, a stock's at its end; change: a stock's over the year
    least: bool  # published as "N+"
    target: int
    how: str
    zh: str
    en: str
    source: str
    money: bool

    def show(self, value):
        return f"{value / 100:,.0f}" if self.money else f"{value:+,}" if self.measure == "change" else f"{value:,}"

    def published(self):
        return self.show(self.target) + ("+" if self.least else "")


def load_units(path=HERE / "units.csv"):
    with open(path, encoding="utf-8", newline="") as file:
        return [Unit(row["code"], row["name"], row["tier"], row["parent_code"]) for row in csv.DictReader(file)]


def load_figures(path=HERE / "figures.csv"):
    with open(path, encoding="utf-8", newline="") as file:
        return [Figure(row["figure"], row["indicator"], dict(part.split("=") for part in row["dims"].split("|") if part), row["measure"],
                       row["relation"] == ">=", int(row["target"]), row["how"], row["zh"], row["en"], row["source"],
                       row["indicator"].startswith("funds")) for row in csv.DictReader(file)]


# ---- dealing totals out


def shares(rng, total, count, least=0):
    """`count` whole numbers of at least `least` whose sum is `total`."""
    rest = total - least * count
    assert rest >= 0
    cuts = sorted(rng.randint(0, rest) for _ in range(count - 1))
    return [least + high - low for low, high in zip([0] + cuts, cuts + [rest])]


def in_turn(places, count):
    return [places[i % len(places)] for i in range(count)]


def some_day(rng, first=FIRST, last=LAST):
    return first + timedelta(days=rng.randrange((last - first).days + 1))


def by_day(rng, count):
    return sorted(some_day(rng) for _ in range(count))


@dataclass
class Child:
    key: str
    village: Station
    since: date
    birth: date
    sex: str
    category: list
    left: date | None = None
    colour: str = ""

    def file(self, day, status):
        record = {"key": self.key, "since": day.isoformat(), "status": status, "name": "示例儿童" + self.key[-4:],
                  "birth": self.birth.isoformat(), "sex": self.sex, "category": self.category, "home": self.village.unit.code}
        return record if status == "active" else record | {"why_left": "示例：不再符合条件"}


CATEGORIES = {"left_behind": 34, "hardship": 30, "disabled": 12, "serious_illness": 7, "orphan": 5, "prisoner_child": 5, "behaviour": 4,
              "out_of_school": 3}
GRADES = {"none": 50, "some": 38, "grave": 12}
POINTS = {"none": 0, "some": 1, "grave": 3}
SOURCES = ["education", "health", "medical_insurance", "disabled_federation", "women_federation", "youth_league", "police", "court"]


def weighted(rng, weights):
    return rng.choices(list(weights), list(weights.values()))[0]


class Year:
    """Deals the published totals out; each method is one part of the account."""

    def __init__(self, today, seed):
        self.rng = random.Random(seed)
        self.today = today
        self.stations = {unit.code: Station(unit) for unit in load_units()}
        units = [station.unit for station in self.stations.values()]
        self.county = self.stations[units[0].code]
        self.target = {figure.id: figure.target for figure in load_figures()}
        # The tree has 197 villages and communities, seven of them pseudo-villages of farms and parks (digits 10-12 from 400). The account
        # counts 181 of the other 190 and does not say which: ours are the first 181 by code, in 11 towns and parks, and the first 10 of
        # these towns have a supervisor.
        real = [unit for unit in units if unit.tier == "village" and int(unit.code[9:]) < 400]
        self.villages = [self.stations[unit.code] for unit in real[:self.target["directors"]]]
        towns = dict.fromkeys(village.unit.parent for village in self.villages)
        self.towns = [self.stations[code] for code in list(towns)[:self.target["supervisors"]]]
        self.children = []

    def bodies_and_people(self):
        for station in self.stations.values():
            station.add("organise", {"since": some_day(self.rng, date(2021, 6, 1), date(2022, 6, 1)).isoformat(), "committee": "set_up"})
        posts = [(station, "director", "示例儿童主任") for station in self.villages]
        posts += [(station, "supervisor", "示例督导员") for station in self.towns]
        posts += [(self.county, "inspector", "示例督查专员")] * self.target["inspectors"]
        for number, (station, post, name) in enumerate(posts, 1):
            since = some_day(self.rng, date(2021, 9, 1), date(2023, 9, 30))
            station.add("post", {"key": f"worker-{number:03}", "since": since.isoformat(), "name": f"{name}{number:03}", "post": post,
                                 "status": "held"})

    def new_child(self, village, since):
        rng = self.rng
        category = sorted({weighted(rng, CATEGORIES) for _ in range(rng.choice([1, 1, 1, 2]))})
        birth = since - timedelta(days=rng.randint(200, 4300))
        child = Child(f"child-{len(self.children) + 1:04}", village, since, birth, rng.choice("fm"), category)
        self.children.append(child)
        return child

    def leads_and_files(self):
        rng = self.rng
        for village in self.villages:
            self.new_child(village, some_day(rng, date(2020, 1, 1), date(2022, 12, 31)))
        for _ in range(CHILDREN_BEFORE - len(self.villages)):
            self.new_child(rng.choice(self.villages), some_day(rng, date(2020, 1, 1), date(2022, 12, 31)))
        outcomes = [("leave", child.village, child) for child in rng.sample(self.children, self.target["leads_leave"])]
        outcomes += [("enter", rng.choice(self.villages), None) for _ in range(self.target["leads_enter"])]
        outcomes += [("no_change", village, None) for village in in_turn(self.villages, self.target["leads"] - len(outcomes))]
        for outcome, village, child in outcomes:
            day = some_day(rng)
            if outcome == "leave":
                child.left = day
            elif outcome == "enter":
                self.new_child(village, day)
            village.add("lead", {"day": day.isoformat(), "source": rng.choice(SOURCES), "outcome": outcome})
        for village in self.villages:
            village.batches["lead"].sort(key=lambda lead: lead["day"])
        for child in self.children:
            child.village.add("file", child.file(child.since, "active"))
            if child.left:
                child.village.add("file", child.file(child.left, "left"))
        for village in self.villages:
            village.batches["file"].sort(key=lambda file: file["since"])

    def mistake(self):
        """The first village types a lead in as entered, and corrects it: until then the county has one too many."""
        village = self.villages[0]
        index = next(i for i, lead in enumerate(village.batches["lead"]) if lead["outcome"] == "no_change")
        right = village.batches["lead"][index]
        village.batches["lead"][index] = right | {"outcome": "enter"}
        village.corrections.append(Correction("lead", index, right))

    def assessments(self):
        """Once in the year for every child on file, within a month for a new one."""
        rng = self.rng
        for child in self.children:
            first = max(child.since, FIRST)
            last = child.left or (min(child.since + timedelta(days=29), LAST) if child.since >= FIRST else LAST)
            guardian, harm, poverty = (weighted(rng, GRADES) for _ in range(3))
            score = 3 * POINTS[guardian] + 5 * POINTS[harm] + POINTS[poverty]
            child.colour = "red" if harm == "grave" else "yellow" if score >= 12 else "blue" if score >= 5 else "green"
            child.village.add("assess", {"key": child.key, "day": some_day(rng, first, last).isoformat(), "guardian": guardian, "harm": harm,
                                         "poverty": poverty, "colour": child.colour})

    def plans_and_services(self):
        rng = self.rng
        staying = [child for child in self.children if not child.left]
        planned = rng.sample(staying, self.target["plans"])
        for child in planned:
            child.village.add("plan", {"key": child.key, "day": some_day(rng, max(child.since, FIRST)).isoformat(), "goal": "示例：一人一策"})
        for child, day in zip(in_turn(planned, self.target["services_case"]), by_day(rng, self.target["services_case"])):
            child.village.add("service", {"day": day.isoformat(), "kind": "case", "summary": "示例：个案服务"})
        for child in rng.sample(staying, self.target["group_plans"]):
            child.village.add("group", {"key": child.key, "day": some_day(rng, max(child.since, FIRST)).isoformat(), "in_group": True})
        towns = in_turn(self.towns, self.target["group_projects"])
        for number, town in enumerate(towns, 1):
            town.add("project", {"key": f"group-{number}", "since": "2023-01-09", "title": f"示例小组项目{number}", "kind": "group",
                                 "status": "running"})
        for town, day in zip(in_turn(towns, self.target["services_group"]), by_day(rng, self.target["services_group"])):
            town.add("service", {"day": day.isoformat(), "kind": "group", "summary": "示例：小组服务"})
        themes = in_turn(["family", "mind", "safety", "growth"], self.target["projects"])
        for number, theme in enumerate(themes, 1):
            self.county.add("project", {"key": f"service-{number}", "since": "2023-01-09", "title": f"示例服务项目{number}", "kind": "service",
                                        "theme": theme, "status": "running"})
        for number, day in enumerate(by_day(rng, self.target["activities"])):
            day = max(day, date(2023, 1, 10))
            self.county.add("activity", {"key": f"service-{number % len(themes) + 1}", "day": day.isoformat(), "children": rng.randint(12, 60)})

    def reports_and_conferences(self):
        rng = self.rng
        kinds = ["school", "clinic", "village_committee", "shelter", "lodging", "person"]
        for number, day in enumerate(by_day(rng, self.target["reports"]), 1):
            rng.choice(self.villages).add("report", {"day": day.isoformat(), "by": rng.choice(kinds), "facts": f"示例：报告个案{number}",
                                                     "told_by": f"示例报告人{number:02}"})
        meetings = 6
        for persons, town, day in zip(shares(rng, self.target["conference"], meetings, 1), in_turn(self.towns, meetings), by_day(rng, meetings)):
            town.add("conference", {"day": day.isoformat(), "persons": persons, "with": ["civil_affairs", "police", "education"],
                                    "decision": "示例：会商结论"})
        for group in ("vagrant", "hardship"):
            for day in by_day(rng, self.target["sheltered_" + group]):
                self.county.add("shelter", {"day": day.isoformat(), "of_group": group, "origin": "local" if group == "hardship" else "other_place",
                                            "nights": rng.randint(1, 9)})

    def facilities(self):
        rng = self.rng
        self.county.add("facility", {"key": "centre", "since": "2022-03-01", "title": "示例未保中心", "kind": "centre", "status": "open"})
        for number, town in enumerate(self.towns):
            town.add("facility", {"key": "station", "since": "2022-06-01", "title": f"示例未保站{number + 1}", "kind": "station",
                                  "demo": number < self.target["demo_stations"], "status": "open"})
        types = [name for name in ("culture", "labour", "science", "nature", "welfare") for _ in range(self.target["bases_" + name])]
        bases = list(zip(in_turn(self.towns, len(types)), (f"base-{number + 1:02}" for number in range(len(types)))))
        for (town, key), base_type in zip(bases, types):
            town.add("facility", {"key": key, "since": some_day(rng, date(2023, 1, 1), date(2023, 2, 28)).isoformat(), "title": "示例践习" + key,
                                  "kind": "base", "base_type": base_type, "status": "open"})
        for number in range(self.target["items"]):
            town, key = bases[number % len(bases)]
            town.add("item", {"key": key, "day": some_day(rng, date(2023, 3, 1)).isoformat(), "type": rng.choice(["visit", "skill", "course"]),
                              "title": f"示例践习项目{number + 1:02}"})
        count = self.target["practice"]
        heads = shares(rng, self.target["practice_children"], count, 10)
        hardship = [0] * count
        for _ in range(self.target["practice_hardship"]):
            hardship[rng.choice([i for i in range(count) if hardship[i] < heads[i]])] += 1
        for number in range(count):
            town, key = bases[number % len(bases)]
            town.add("practice", {"key": key, "day": some_day(rng, date(2023, 3, 1)).isoformat(), "type": rng.choice(["visit", "skill", "course"]),
                                  "children": heads[number], "hardship": hardship[number]})

    def summer_and_money(self):
        rng = self.rng
        for town, number in zip(self.towns, shares(rng, self.target["volunteers"], len(self.towns), 20)):
            town.add("volunteers", {"day": some_day(rng, date(2023, 6, 1), date(2023, 7, 7)).isoformat(), "number": number})
        count = self.target["classes"]
        for town, children in zip(in_turn(self.towns, count), shares(rng, self.target["class_children"], count, 30)):
            town.add("class", {"day": some_day(rng, date(2023, 7, 10), date(2023, 7, 31)).isoformat(), "children": children})
        for source in ("foundation", "charity"):
            self.county.add("money", {"day": "2023-01-16", "direction": "in", "source": source, "amount": self.target["funds_" + source]})
        purposes = ["relief", "schooling", "medical", "practice", "training", "other"]
        yuan = shares(rng, self.target["funds_out"] // 100, 48, 1000)
        for number, (amount, day) in enumerate(zip(yuan, by_day(rng, len(yuan)))):
            self.county.add("money", {"day": day.isoformat(), "direction": "out", "source": "foundation" if number % 4 else "charity",
                                      "purpose": rng.choice(purposes), "amount": amount * 100})
        for indicator in ("inspection_teams", "member_units"):
            self.county.entered.append((indicator, "2023", self.target[indicator]))

    def visits(self):
        rng = self.rng
        for child in self.children:
            count = 0 if child.left else VISITS[child.colour]
            for number in range(count):
                ago = VISIT_DAYS - (number * VISIT_DAYS + rng.randrange(VISIT_DAYS)) // count
                day = self.today - timedelta(days=ago)
                child.village.add("visit", {"key": child.key, "day": day.isoformat(), "findings": "示例：情况正常",
                                            "changed": rng.random() < 0.04})


def generate(today, seed=SEED):
    """Unit code -> Station, in the order of the tree."""
    year = Year(today, seed)
    year.bodies_and_people()
    year.leads_and_files()
    year.mistake()
    year.assessments()
    year.plans_and_services()
    year.reports_and_conferences()
    year.facilities()
    year.summer_and_money()
    year.visits()
    for station in year.stations.values():
        station.batches = {form: station.batches[form] for form in FORMS if form in station.batches}
    return year.stations
