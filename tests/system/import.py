"""A county larger than any: 400 townships, 40,000 villages, one station, a value for each; and the same from DHIS2."""
import json
import random
import time
from collections import Counter

from harness import Network, check, comment, equal, run, table

TOWNS, VILLAGES = 400, 101
YEARS = ("2024", "2025")


def tree():
    rows = [("C", "大县", "county", "")]
    for town in range(TOWNS):
        rows.append((f"T{town}", f"镇{town}", "township", "C"))
        rows += [(f"T{town}-{village}", f"村{town}之{village}", "village", f"T{town}") for village in range(VILLAGES)]
    return rows


def values(seed):
    pick = random.Random(seed)
    return {(f"T{town}-{village}", year): pick.randrange(0, 5000) for town in range(TOWNS) for village in range(VILLAGES) for year in YEARS[:1]} | {
        (f"T{town}-0", YEARS[1]): pick.randrange(1, 5000) for town in range(TOWNS)}


def write_csv(path, entered):
    path.write_text("unit,period,indicator,value\n" + "".join(f"{unit},{year},population,{value}\n" for (unit, year), value in entered.items()))


def write_dhis2(path, entered):
    path.write_text(json.dumps({"dataValues": [{"dataElement": "population", "orgUnit": unit, "period": year, "categoryOptionCombo": "default",
                                                "value": str(value)} for (unit, year), value in entered.items()]}))


def agree(station, entered):
    towns, total = Counter(), Counter()
    for (unit, year), value in entered.items():
        towns[unit.split("-")[0], year] += value
        total[year] += value
    for year in YEARS:
        equal(station.value("population", year), total[year], f"the county in {year}")
        found = table(station.figures("population", year, by="unit"), unit=True)
        equal(found, {(f"T{town}", False): (0, towns[f"T{town}", year]) for town in range(TOWNS) if towns[f"T{town}", year]}, "by unit")
        found = table(station.figures("population", year, by="tier=village"), unit=True)
        equal(found, {(unit, False): (value, value) for (unit, when), value in entered.items() if when == year and value}, "each village")
        found = table(station.figures("population", year, by="tier=township"), unit=True)
        equal(found, {(town, False): (0, value) for (town, when), value in towns.items() if when == year and value}, "each township")
    for town in ("T0", "T199", f"T{TOWNS - 1}"):
        equal(station.value("population", YEARS[0], town), towns[town, YEARS[0]], town)


def importing(station, path, count):
    began = time.monotonic()
    answer = station.importing(path)
    equal(answer["values"], count, "values read")
    return answer, time.monotonic() - began


def test_forty_thousand_villages():
    with Network(tree()) as net:
        station = net.init("C").run()
        equal(len(tree()), 1 + TOWNS + TOWNS * VILLAGES, "units")
        entered = values(1)
        check(len(entered) > 40000, len(entered))
        path, changed = net.dir / "values.csv", net.dir / "changed.csv"
        write_csv(path, entered)
        before = station.points(journal=False)
        check(station.importing(path, "--check")["values"] == len(entered), "all good")
        equal(station.value("population", YEARS[0]), 0, "a check keeps nothing")
        _, seconds = importing(station, path, len(entered))
        comment(f"import of {len(entered):,} values into {len(tree()):,} units: {seconds:.2f} s")
        began = time.monotonic()
        equal(station.value("population", YEARS[0]), sum(value for (_, year), value in entered.items() if year == YEARS[0]), "the county")
        comment(f"one figure of the county, with the program's start: {time.monotonic() - began:.3f} s")
        began = time.monotonic()
        agree(station, entered)
        comment(f"eleven questions, three of them with 40,000 rows: {time.monotonic() - began:.2f} s")
        equal(station.points(journal=False), before, "the station is what it was")

        again, seconds = importing(station, path, len(entered))
        equal(again["unchanged"], len(entered), "the same file again changes nothing")
        comment(f"the same again: {seconds:.2f} s")
        for unit in ("T7-7", "T399-100", "T0-0"):
            entered[unit, YEARS[0]] += 111
        write_csv(changed, {key: entered[key] for key in (("T7-7", YEARS[0]), ("T399-100", YEARS[0]), ("T0-0", YEARS[0]))})
        importing(station, changed, 3)
        agree(station, entered)
        station.stop()
        began = time.monotonic()
        equal(station.verify(), [], "verify")
        comment(f"verify: {time.monotonic() - began:.2f} s")


def test_dhis2_json_gives_the_same_figures_as_csv():
    entered = values(2)
    with Network(tree()) as net:
        by_csv, by_json = net.init("C", "by-csv"), net.init("C", "by-json")
        write_csv(net.dir / "values.csv", entered)
        write_dhis2(net.dir / "values.json", entered)
        for station, name in ((by_csv, "values.csv"), (by_json, "values.json")):
            answer, seconds = importing(station, net.dir / name, len(entered))
            equal(answer["unchanged"], 0, "nothing was there before")
            comment(f"import of {name}: {seconds:.2f} s")
        agree(by_json, entered)
        for by in (None, "unit", "tier=village", "tier=township"):
            left, right = (station.figures("population", YEARS[0], by=by)["rows"] for station in (by_csv, by_json))
            equal(left == right, True, f"rows by {by}")
        equal(by_csv.importing(net.dir / "values.json")["unchanged"], len(entered), "to the station that has the CSV the JSON is no news")


run(test_forty_thousand_villages, test_dhis2_json_gives_the_same_figures_as_csv)
