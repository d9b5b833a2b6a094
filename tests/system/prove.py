"""A figure and its proof: anybody can check it, with no station, and no byte of it may be another."""
import random

from harness import Network, check, comment, county, equal, run, sanji, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
SAMPLE = 400  # positions tried with one flipped bit each


def child(key, **more):
    return {"key": key, "since": DAY, "status": "active", "name": "己", "birth": "2014-05-05", "sex": "f", "category": ["orphan", "disabled"], **more}


def three_tiers(net):
    top, town = net.chain("C", "C1", leaf=False)
    villages = [net.join(town, unit).run() for unit in ("C1-001", "C1-002")]
    villages[0].record("file", [child("a"), child("b", sex="m")])
    villages[1].record("file", child("a"))
    for _ in range(3):
        villages[0].record("visit", {"key": "a", "day": DAY})
    top.record("conference", {"day": DAY, "persons": 16})
    wait_for(lambda: top.value("children", MONTH) == 3 and top.value("visits", MONTH) == 3, "figures at the county")
    return top, town, villages


def prove(net, station, name, *arguments):
    path = net.dir / name
    made = station.cli("prove", "-p", MONTH, "-o", path, "--json", *arguments).json
    equal(made["size"], path.stat().st_size, "size")
    return path, made


def lonely(net, *arguments, code=0):
    """verify as on another machine: no station, another directory, no environment."""
    return sanji("verify", *arguments, "--json", code=code, HOME="/nonexistent", SANJI_DIR=str(net.dir / "nowhere"))


def test_a_county_figure_is_proven_without_a_station():
    with Network(county(2, 2)) as net:
        top, town, _ = three_tiers(net)
        root = top.status()["root"]
        for name, value, arguments in (("children", 3, ("-i", "children")), ("visits", 3, ("-i", "visits")), ("conference", 16, ("-i", "conference")),
                                       ("girls", 2, ("-i", "children", "--where", "sex=f")), ("town", 3, ("-i", "children", "--unit", "C1")),
                                       ("village", 2, ("-i", "children", "--unit", "C1-001"))):
            path, made = prove(net, top, name + ".proof", *arguments)
            equal(made["value"], value, name)
            for more in ((), ("--root", root)):
                report = lonely(net, path, *more).json
                equal((report["ok"], report["value"], report["indicator"], report["root"], report["root_pinned"]), (True, value, arguments[1], root, bool(more)), name)
                equal((report["period_first"], report["period_last"], report["root_unit"]), (MONTH, MONTH, "C"), name)
            check(str(value) in sanji("verify", path).out, "the figure is said to people")
            for stranger in ("0" * 64, root[:-1] + ("0" if root[-1] != "0" else "1")):
                equal(lonely(net, path, "--root", stranger, code=1).code, 1, "another root")
        path, _ = prove(net, town, "from-the-town.proof", "-i", "children")
        equal(lonely(net, path, "--root", root).json["value"], 3, "a township proves its own under the same root")
        again = top.cli("prove", "-i", "children", "-p", MONTH, "-o", net.dir / "children.proof", code=1)
        check("children.proof" in again.err, "a file that is there is not written over", again)
        for station in net.stations.values():
            station.stop()
        equal(lonely(net, net.dir / "children.proof").json["value"], 3, "nobody runs")


def test_every_flipped_bit_is_refused():
    with Network(county(2, 2)) as net:
        top, _, _ = three_tiers(net)
        path, _ = prove(net, top, "children.proof", "-i", "children")
        good, pick, wrong = path.read_bytes(), random.Random(7), net.dir / "wrong.proof"
        comment(f"a proof of {len(good):,} bytes")
        positions = sorted({*range(0, min(64, len(good))), *range(len(good) - 32, len(good)), *(pick.randrange(len(good)) for _ in range(SAMPLE))})
        accepted = []
        for position in positions:
            bad = bytearray(good)
            bad[position] ^= 1 << pick.randrange(8)
            wrong.write_bytes(bad)
            result = lonely(net, wrong, code=None)
            if result.code == 0:
                accepted.append((position, bad[position] ^ good[position], result.json))
            else:
                check(result.code == 1 and result.json["error"]["message"], "refused with a reason", position, result)
        # the clock of whoever made the file is said, and signed by nobody
        told = lonely(net, path).json
        accepted = [each for each in accepted if {**each[2], "made_ms": 0} != {**told, "made_ms": 0}]
        equal(accepted, [], "flipped bits that change what is proven, and pass")
        for bad in (b"", good[:-1], good + b"\x00", good[:len(good) // 2], good + good, b"\x00" * 100, good[1:]):
            wrong.write_bytes(bad)
            equal(lonely(net, wrong, code=None).code, 1, f"{len(bad)} bytes of {len(good)}")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def test_a_changed_claim_is_refused():
    """Every number of the file's outermost message, the claimed value among them, written as its neighbour in the shortest form."""
    with Network(county(2, 2)) as net:
        top, _, _ = three_tiers(net)
        path, made = prove(net, top, "children.proof", "-i", "children")
        told = lonely(net, path).json
        good, wrong = path.read_bytes(), net.dir / "wrong.proof"
        tried = 0
        for start, at, size, value in numbers(good):
            for other in (value + 1, value + 2, 0 if value else 4):
                wrong.write_bytes(good[:at] + varint(other) + good[at + size:])
                result = lonely(net, wrong, code=None)
                check(result.code == 1 or {**result.json, "made_ms": 0} == {**told, "made_ms": 0}, f"field {good[start] >> 3}: {value} told as {other}", result)
                tried += result.code == 1
        check(tried >= 3, "claims that were refused:", tried)
        equal(made["value"], told["value"], "and the true one holds")


def numbers(message):
    """(start, place, size, value) of each varint field of a protobuf message."""
    at = 0
    while at < len(message):
        start = at
        tag, at = read_varint(message, at)
        if tag & 7 == 0:
            value, end = read_varint(message, at)
            yield start, at, end - at, value
            at = end
        elif tag & 7 == 2:
            size, at = read_varint(message, at)
            at += size
        else:
            at += {1: 8, 5: 4}[tag & 7]


def read_varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def test_a_proof_follows_the_figure():
    with Network(county(2, 2)) as net:
        top, _, villages = three_tiers(net)
        first, _ = prove(net, top, "first.proof", "-i", "visits")
        villages[0].record("visit", {"key": "b", "day": DAY})
        wait_for(lambda: top.value("visits", MONTH) == 4, "a fourth visit")
        second, made = prove(net, top, "second.proof", "-i", "visits")
        equal((made["value"], lonely(net, second).json["value"], lonely(net, first).json["value"]), (4, 4, 3), "each file proves what stood when it was made")
        for arguments in (("-i", "confirmed_rate"), ("-i", "nothing"), ("-i", "visits", "--unit", "X")):
            equal(top.cli("prove", "-p", MONTH, "-o", net.dir / "x.proof", *arguments, code=1).code, 1, arguments)
            check(not (net.dir / "x.proof").exists(), "no file")


run(test_a_county_figure_is_proven_without_a_station, test_every_flipped_bit_is_refused, test_a_changed_claim_is_refused, test_a_proof_follows_the_figure)
