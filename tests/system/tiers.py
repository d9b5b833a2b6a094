"""Four tiers: a city, its counties, townships and villages as they really are (tests/data/jinzhou.csv)."""
import csv

from harness import CODEBOOK, SOURCE, Network, check, equal, run, table, wait_for
from model import Model, month_name, month_of, today

UNITS = SOURCE / "tests/data/jinzhou.csv"
MONTH = month_name(month_of(today()))
DAY = today().isoformat()
CITY, COUNTY, TOWN, VILLAGES = "210700000000", "210726000000", "210726101000", 3


def rows():
    with open(UNITS, encoding="utf-8") as file:
        return [(row["code"], row["name"], row["tier"], row["parent_code"]) for row in csv.DictReader(file)]


def four_tiers(net):
    """The county's codebook with the city's tier above: nothing else changes."""
    text = CODEBOOK.read_text(encoding="utf-8")
    changed = text.replace("tiers: [county, township, village]", "tiers: [prefecture, county, township, village]", 1)
    check(changed != text, "the codebook's tiers")
    path = net.dir / "codebook.yaml"
    path.write_text(changed, encoding="utf-8")
    return path


def child(number):
    return {"key": f"k{number}", "since": DAY, "status": "active", "name": f"丙{number}", "birth": f"20{10 + number}-02-01", "sex": "fm"[number % 2],
            "category": [["orphan"], ["disabled", "hardship"], ["left_behind"]][number % 3]}


def test_a_record_in_a_village_arrives_in_the_city():
    tree = rows()
    villages = [code for code, _, _, parent in tree if parent == TOWN][:VILLAGES]
    with Network(UNITS) as net:
        net.codebook = four_tiers(net)
        model = Model(tree)
        city, county, town = net.chain(CITY, COUNTY, TOWN, leaf=False)
        stations = [net.join(town, code).run() for code in villages]
        for number, station in enumerate(stations):
            for each in range(number + 2):
                station.record("file", child(each))
                model.add("file", station.unit, child(each), key=f"k{each}")
            visits = [{"key": "k0", "day": DAY}] * (number + 1)
            station.record("visit", visits)
            for visit in visits:
                model.add("visit", station.unit, visit, key="k0")
        county.record("practice", {"key": "base", "day": DAY, "children": 30, "hardship": 3, "type": "skill"})
        model.add("practice", COUNTY, {"day": DAY, "children": 30, "hardship": 3, "type": "skill"}, key="base")

        def agree(station):
            for indicator in ("children", "visits", "practice", "practice_children", "hardship_share"):
                for by in ([], ["unit"], ["tier=village"], ["tier=county"]):
                    if by == ["tier=county"] and station is not city:
                        continue
                    found = table(station.figures(indicator, MONTH, by=",".join(by) or None), unit=bool(by))
                    equal(found, model.table(indicator, station.unit, MONTH, by), f"{indicator} by {by} at {station}")
            for by in (["category"], ["sex"], ["age"], ["sex", "age"]):
                equal(table(station.figures("children", MONTH, by=",".join(by)), dims=by), model.table("children", station.unit, MONTH, by), f"by {by} at {station}")
            return True
        for station in (town, county, city):
            wait_for(lambda s=station: agree(s), f"every figure at {station}")
        tiers = {tier["tier"]: tier for tier in city.status()["tiers"]}
        equal({name: tier["stations"] for name, tier in tiers.items()}, {"prefecture": 1, "county": 1, "township": 1, "village": VILLAGES}, "stations")
        equal(sum(tier["units"] for tier in tiers.values()), len(tree), "units")


def test_a_city_outlives_its_county():
    """A county that is away for a while passes on what it got, and what came to it meanwhile."""
    with Network(UNITS) as net:
        net.codebook = four_tiers(net)
        city, county, town = net.chain(CITY, COUNTY, TOWN)
        town.record("conference", {"day": DAY, "persons": 3})
        wait_for(lambda: city.value("conference", MONTH) == 3, "three at the city")
        county.kill()
        town.record("conference", [{"day": DAY, "persons": 2}] * 10)
        equal(city.value("conference", MONTH), 3, "nothing comes past the county")
        county.run()
        wait_for(lambda: city.value("conference", MONTH) == 23, "the rest at the city")
        equal(city.value("conference", MONTH, TOWN, which="own"), 23, "as the township's own")


run(test_a_record_in_a_village_arrives_in_the_city, test_a_city_outlives_its_county)
