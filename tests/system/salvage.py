"""The way back from a store that can't be opened: what can be read of it, and the neighbours, make it whole again."""
import random
import shutil

from harness import Network, check, county, equal, run, sanji, wait_for
from model import month_name, month_of, today
from pages import PAGE, Pages

MONTH = month_name(month_of(today()))
LEAD = {"day": today().isoformat(), "source": "police", "outcome": "enter"}
CHILD = {"since": today().isoformat(), "name": "孩子", "sex": "f", "category": ["orphan"], "status": "active",
         "birth": f"{today().year - 8}-01-01"}
UNITS = county(1, 2)


class World:
    """A county, a township with one record of its own, two villages; all is acknowledged."""

    def __init__(self, net):
        self.top, self.town = net.chain("C", "C1", leaf=False)
        self.villages = [net.join(self.town, unit).run() for unit in ("C1-001", "C1-002")]
        self.leads, self.children = 0, 0
        for number in range(1, 6):
            self.record(self.villages[0], number)
            self.record(self.villages[1], 2)
            self.record(self.town, 1)
        for number, village in enumerate(self.villages):
            village.record("file", {**CHILD, "key": f"child {number}"})
            self.children += 1
        self.same()

    def record(self, station, number):
        station.record("lead", [LEAD] * number)
        self.leads += number

    def same(self):
        for station in (self.town, self.top):
            wait_for(lambda: station.value("leads", MONTH) == self.leads and station.value("children", MONTH) == self.children,
                     f"{self.leads} and {self.children} at {station}, which has {station.value('leads', MONTH)}, {station.value('children', MONTH)}")
        for station in (*self.villages, self.town):
            wait_for(lambda: station.up()["backlog_rows"] == 0, f"all that {station} has is acknowledged")


def data_of(station):
    return station.dir / "store/data.mdb"


def opened(station, ordinal=2):
    wait_for(lambda: station.status()["state"] == "ready" and station.status()["ordinal"] == ordinal, f"{station} is open in incarnation {ordinal}")


def salvage(station):
    """First what would come of it, then it."""
    before = data_of(station).read_bytes() if data_of(station).exists() else None
    listing = sorted(path.name for path in station.dir.iterdir())
    would = station.cli("rebuild", "--salvage", "--json").json
    equal(sorted(path.name for path in station.dir.iterdir()), listing, "nothing is changed before it is asked for")
    did = station.cli("rebuild", "--salvage", "--go-on", "--json").json
    equal({**would, "done": True, "kept_as": did["kept_as"]}, did, "what was said is what came")
    if before is not None:
        equal((station.dir / did["kept_as"] / "data.mdb").read_bytes(), before, "the damaged store is kept as it is")
    check(not list(station.dir.glob("store.new-*")), "nothing is left behind")
    return did


def break_tree(station):
    """The roots' pages and a quarter of the leaves are torn to pieces."""
    pages, chance = Pages(data_of(station)), random.Random(11)
    used = sorted(pages.used)
    for page in [pages.table("journal")[0].page, *chance.sample(used, len(used) // 4)]:
        offset = page * PAGE
        pages.data[offset + 8:offset + 64] = chance.randbytes(56)
    pages.write()


def comes_back(world, station, ordinal=2):
    station.run()
    opened(station, ordinal)
    world.same()
    for village in world.villages:
        world.record(village, 1)
    world.record(world.town, 1)
    world.villages[0].record("file", {**CHILD, "key": f"later {world.children}"})
    world.children += 1
    world.same()


def test_fault_11_a_broken_tree_is_salvaged_and_the_rest_comes_back():
    with Network(UNITS) as net:
        world = World(net)
        for number, station in enumerate((world.town, world.villages[0])):
            station.stop()
            break_tree(station)
            refused = sanji("run", station.dir, code=1)
            check("--salvage" in refused.err, "the way is named", refused)
            did = salvage(station)
            check(0 < did["batches_kept"] <= did["batches_found"], did)
            check("--salvage" in station.cli("rebuild", "--help").out and "--go-on" in station.cli("rebuild", "--help", LANG="zh_CN.UTF-8").out,
                  "the help says how")
            comes_back(world, station)


def test_fault_9_a_truncated_store_comes_back():
    with Network(UNITS) as net:
        world = World(net)
        for part, station in ((0.5, world.town), (0.7, world.villages[1])):
            station.stop()
            whole = data_of(station).read_bytes()
            data_of(station).write_bytes(whole[:int(len(whole) * part) + 100])
            refused = sanji("run", station.dir, code=1)
            check("--salvage" in refused.err, "the way is named", refused)
            salvage(station)
            comes_back(world, station)


def test_fault_12_a_wiped_store_comes_back_by_its_neighbours():
    with Network(UNITS) as net:
        world = World(net)
        for number, station in enumerate((world.villages[0], world.town)):
            station.stop()
            data_of(station).write_bytes(bytes(len(data_of(station).read_bytes())) if number else b"")
            did = salvage(station)
            equal((did["rows_found"], did["batches_kept"]), (0, 0), "nothing is left of it")
            check(did["from_enrolment"] and did["batches_expected"] > 0, did)
            comes_back(world, station)
        station = world.town
        station.stop()
        shutil.rmtree(station.dir / "store")
        (station.dir / "marker").unlink()
        salvage(station)
        comes_back(world, station, 3)


def test_fault_12_without_a_certificate_it_says_what_can_be_done():
    with Network(UNITS) as net:
        world = World(net)
        village = world.villages[0]
        check("open" in village.cli("rebuild", "--salvage", "--go-on", code=1).err, "not under a running node")
        village.stop()
        kept = data_of(village).read_bytes()
        (village.dir / "enrolment").rename(net.dir / "enrolment")
        data_of(village).write_bytes(b"")
        for language in ("C", "zh_CN.UTF-8"):
            refused = village.cli("rebuild", "--salvage", "--go-on", code=1, LANG=language)
            check("enrolment" in refused.err, refused)
        equal(data_of(village).read_bytes(), b"", "and changes nothing")
        data_of(village).write_bytes(kept)
        village.run()
        wait_for((village.dir / "enrolment").exists, "it is written again at the next start")
        world.same()


def test_fault_11_a_root_is_salvaged_and_goes_on_by_its_admins_word():
    with Network(UNITS) as net:
        world = World(net)
        top = world.top
        top.stop()
        break_tree(top)
        check(salvage(top)["root"], "it says so")
        top.run()
        equal(top.status()["state"], "read-only", "until its admin's word")
        world.same()
        top.cli("recover", "--open", str(top.cli("recover", "--json").json["next"]))
        opened(top)
        world.record(world.town, 1)
        world.same()


if __name__ == "__main__":
    run(*[value for name, value in sorted(globals().items()) if name.startswith("test_")])
