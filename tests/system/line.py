"""Each fault of a line, put on the line between a village and its township while records are typed: all of it arrives, once."""
import re
from concurrent.futures import ThreadPoolExecutor

from harness import Network, check, comment, county, equal, run, wait_for
from ledger import MONTH, Typist, all_arrived, lead
from proxy import Line

TREE = county(1, 2)
COMMIT_S = 120  # a link that lives, but for acknowledgements, is left after that long: LINK_COMMIT_MS in relay/core/link.h
SILENT_S = 30  # within this a link that carries nothing is left


class Scene:
    """County, township and two villages; the first one's line is ours. A typist at it, and one at its neighbour."""

    def __init__(self, net):
        self.net = net
        self.top, self.town = net.chain("C", "C1", leaf=False)
        self.village, self.neighbour = net.join(self.town, "C1-001"), net.join(self.town, "C1-002")
        self.line = net.proxy(self.village, Line)
        for station in (self.village, self.neighbour):
            station.run()
        self.typists = [Typist(self.village, 1), Typist(self.neighbour, 2)]
        for station in (self.village, self.neighbour):
            wait_for(station.live, "links")

    def neighbour_goes_on(self):
        """What happens on one line is nothing to another: its records arrive meanwhile."""
        self.typists[1].type()
        number = self.neighbour.value("leads", MONTH)
        wait_for(lambda: self.top.value("leads", MONTH, "C1-002") >= number, "the neighbour's records arrive")

    def whole(self):
        """After the fault: everything is everywhere, once, nothing was stored twice on the way, and nobody was called dead or a liar."""
        wait_for(self.village.live, "the link is back")
        total = all_arrived(TREE, self.typists, (self.top, self.town))
        wait_for(lambda: self.village.up()["backlog_rows"] == 0, "nothing waits")
        for station in self.net.stations.values():
            equal([alarm["kind"] for alarm in station.alarms()], [], f"alarms at {station}")
            check(station.tail(10 ** 6).count("\n") < 200, "the log stays short", station.tail(10 ** 6).count("\n"))
        return total


def under(fault, typed=30):
    """Runs `fault` on a scene while records are typed, and holds what comes of it against the model."""
    with Network(TREE) as net:
        scene = Scene(net)
        with scene.typists[0], scene.typists[1]:
            scene.typists[0].more(typed)
            fault(scene)
            scene.line.heal()
            scene.typists[0].more(5)
        total = scene.whole()
        comment(f"{total} records, {scene.line.connections} connections, {scene.line.up.passed:,} bytes up, {scene.line.down.passed:,} down")


def fault_50_resets():
    def fault(scene):
        for _ in range(6):
            passed = scene.line.up.passed
            wait_for(lambda: scene.line.up.passed > passed + 3000, "something passes")
            scene.line.cut()
            scene.typists[0].more(3)
    under(fault)


def fault_48_delay():
    """A satellite: 0.4 s each way."""
    def fault(scene):
        scene.line.up.delay_s = scene.line.down.delay_s = 0.4
        scene.typists[0].more(100)
        acknowledged = len(scene.typists[0].acknowledged)
        wait_for(lambda: scene.top.value("leads", MONTH, "C1-001") >= acknowledged, "all of it, while the line is slow")
    under(fault)

def fault_48_a_line_of_64_kbit():
    def fault(scene):
        scene.line.up.rate = scene.line.down.rate = 8000
        for _ in range(4):
            scene.village.record("conference", [{"day": lead("police")["day"], "persons": 3}] * 50)
        scene.neighbour_goes_on()
        wait_for(lambda: scene.top.value("conference", MONTH, "C1-001") == 600, "all of it, while the line is slow", 120)
        equal(scene.line.connections, 1, "the slow line was never given up")
    with Network(TREE) as net:
        scene = Scene(net)
        fault(scene)
        scene.line.heal()
        wait_for(lambda: scene.village.up()["backlog_rows"] == 0, "nothing waits")


def fault_48_dribble():
    """One byte at a time, 3,000 a second: slow and never silent. The link bears it, and the neighbour does not notice."""
    def fault(scene):
        scene.line.up.dribble = scene.line.down.dribble = True
        scene.line.up.rate = scene.line.down.rate = 3000
        scene.neighbour_goes_on()
        scene.typists[0].more(10)
        scene.neighbour_goes_on()
    under(fault, typed=5)


def fault_23_bytes_that_come_twice():
    """CURVE numbers its messages: a piece that comes again ends the connection, and nothing of it is taken."""
    def fault(scene):
        for turn in range(6):
            direction = (scene.line.up, scene.line.down)[turn % 2]
            wait_for(scene.village.live, "the link")
            connections = scene.line.connections
            direction.duplicate = 1
            wait_for(lambda: scene.line.connections > connections, "the connection was ended, and another made")
    under(fault)


def fault_50_truncated_in_the_middle():
    def fault(scene):
        for turn, size in enumerate((1, 10, 70, 300, 1000)):
            direction = (scene.line.up, scene.line.down)[turn % 2]
            wait_for(scene.village.live, "the link")
            connections = scene.line.connections
            direction.truncate = size
            wait_for(lambda: direction.truncate <= 0, "it was cut there")
            direction.truncate = None
            wait_for(lambda: scene.line.connections > connections, "another connection")
    under(fault)


def fault_50_bytes_swallowed():
    """A hole in what is said, in the middle of a frame or between two: CURVE sees the first, the link itself must notice the
    second: by the next row, or when it has waited long enough for an acknowledgement."""
    def fault(scene):
        for direction in (scene.line.down, scene.line.up):
            wait_for(scene.village.live, "the link")
            direction.swallow = True
            scene.typists[0].more(10)
            direction.swallow = False
            acknowledged = len(scene.typists[0].acknowledged)

            def arrived(wanted=acknowledged):
                number = scene.top.value("leads", MONTH, "C1-001")
                check(number >= wanted, number, "of", wanted, scene.village.up(), scene.town.status()["links"])
                return True
            wait_for(arrived, "what was acknowledged meanwhile", COMMIT_S + 30)
    under(fault)


def fault_49_half_open():
    """Nothing passes and nothing is refused: the link is left, and comes back when the line does."""
    def fault(scene):
        scene.line.half_open()
        wait_for(lambda: not scene.village.live(), "the village leaves the link", SILENT_S + 15)
        wait_for(lambda: all(link["state"] != "live" for link in scene.town.status()["links"] if link["unit"] == "C1-001"),
                 "the township leaves it", SILENT_S + 15)
        scene.neighbour_goes_on()
        connections = scene.line.connections
        scene.line.cut()
        scene.line.heal()
        wait_for(lambda: scene.line.connections > connections and scene.village.live(), "back again")
    under(fault)


def fault_56_flapping():
    """Reset every 2 s: no work is done twice, progress is made, logs stay short."""
    with Network(TREE) as net:
        scene = Scene(net)
        scene.line.cut_every_s = 2
        with scene.typists[0]:
            for _ in range(6):
                connections = scene.line.connections
                wait_for(lambda: scene.line.connections > connections, "the line broke and came back")
                before = scene.top.value("leads", MONTH)
                wait_for(lambda: scene.top.value("leads", MONTH) > before, "progress between two cuts")
        scene.line.heal()
        total = scene.whole()
        batches = scene.village.status()["journal_batches"]
        check(scene.town.status()["journal_batches"] <= 2 * batches + 20, "no batch is stored twice", batches, scene.town.status()["journal_batches"])
        comment(f"{total} records over {scene.line.connections} connections")


def fault_57_one_way():
    """Only one direction carries. Nobody calls the other dead for good or raises an alarm; what is above goes on; all heals by itself."""
    def one(name):
        def fault(scene):
            getattr(scene.line, name).hold = True
            wait_for(lambda: not scene.village.live(), "the village leaves the link", SILENT_S + 15)
            scene.neighbour_goes_on()
            tiers = {tier["tier"]: tier["stations"] for tier in scene.top.status()["tiers"]}
            equal(tiers["village"], 2, "stations that the county knows")
            freshness = scene.top.figures("leads", MONTH)["freshness"]
            check("C1-001" not in str(freshness.get("missing", "")), "a line that breaks is no missing report", freshness)
        under(fault)
    with ThreadPoolExecutor(2) as both:  # they wait more than they work
        list(both.map(one, ("up", "down")))


run(*[test for name, test in sorted(globals().items()) if re.match(r"fault_\d", name)])
