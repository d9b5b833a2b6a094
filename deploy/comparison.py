"""The county's figures beside the published ones: what to ask a station, how to read its answer, and the table at the end."""
from collections import defaultdict

from screen import pad, tr, width

YEAR, YEAR_BEFORE = "2023", "2022"


class Question:
    """Figures that one call of `sanji figures` answers: same period and same dimension."""

    def __init__(self, dimension, measure, figures):
        self.dimension, self.measure, self.figures = dimension, measure, figures

    def options(self, by_unit):
        by = (["unit"] if by_unit else []) + [self.dimension] * bool(self.dimension) + ["period"] * (self.measure == "change")
        indicators = ",".join(dict.fromkeys(figure.indicator for figure in self.figures))
        period = f"{YEAR_BEFORE}..{YEAR}" if self.measure == "change" else YEAR
        return ["-i", indicators, "--period", period] + (["--by", ",".join(by)] if by else [])

    def read(self, reply):
        """figure id -> unit code -> value; a row that nobody has stated counts as 0."""
        values = {figure.id: defaultdict(int) for figure in self.figures}
        for row in reply["rows"]:
            for figure in self.figures:
                if row["indicator"] == figure.indicator and all(row["members"].get(name) == code for name, code in figure.where.items()):
                    sign = -1 if figure.measure == "change" and row["period"] == YEAR_BEFORE else 1
                    values[figure.id][row["unit"]] += sign * (row["subtree"] or 0)
        return values


def questions_of(figures):
    groups = defaultdict(list)
    for figure in figures:
        dimension = next(iter(figure.where), "")
        groups[dimension, figure.measure, figure.indicator if dimension else "", figure.how].append(figure)
    return [Question(dimension, measure, group) for (dimension, measure, _, _), group in groups.items()]



def table(figures, whole, expected, totals, own, towns):
    """Its lines, and whether all is equal. `own`: what the county itself stated; `towns`: unit code -> that town's own answer."""
    columns = [tr("figure", "指标"), tr("published", "公布"), tr("recorded here", "本次录入"), tr("at the county", "县级数值"), tr("county's own", "县级自身"),
               tr("sum of the towns", "各乡镇之和"), ""]
    rows, good = [columns], True
    for figure in figures:
        total, of_towns = totals[figure.id], sum(town[figure.id] for town in towns.values())
        equal = total == expected[figure.id] == own[figure.id] + of_towns and (not whole or total == figure.target)
        good = good and equal
        values = [figure.show(value) for value in (expected[figure.id], total, own[figure.id], of_towns)]
        verdict = tr("ok", "一致") if equal else tr("NOT EQUAL", "不一致")
        rows.append([tr(figure.en, figure.zh), figure.published()] + values + [verdict])
    widths = [max(width(row[i]) for row in rows) for i in range(len(columns))]
    return ["  ".join(pad(cell, size, 0 < i < 6) for i, (cell, size) in enumerate(zip(row, widths))).rstrip() for row in rows], good


def towns_differ(figures, units, by_unit, towns):
    """What is wrong by town, a line each: the county's row for a town must be what the town's own station says, and the children on file
    must have changed by those entered less those who left."""
    faults = []
    for unit in units:
        answer = towns[unit.code]
        for figure in figures:
            county, town = by_unit[figure.id][unit.code], answer[figure.id]
            if county != town:
                faults.append(tr(f"NOT EQUAL: {figure.id} of {unit.name}: the county says {county:,}, the town's own station {town:,}",
                                 f"不一致：{unit.name}的{figure.zh}：县级为 {county:,}，本镇站点为 {town:,}"))
        change, confirmed = answer["children_change"], answer["leads_enter"] - answer["leads_leave"]
        if change != confirmed:
            faults.append(tr(f"NOT EQUAL: in {unit.name} the children on file changed by {change}, entered less left is {confirmed}",
                             f"不一致：{unit.name}在册儿童增减 {change}，纳入减退出为 {confirmed}"))
    return faults
