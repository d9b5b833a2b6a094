"""What is wrong is refused with its place, changes nothing, and leaves the node alive."""
import json
import socket
import struct
from datetime import timedelta

from harness import CODEBOOK, Network, check, county, equal, place_of, run, sanji, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
YEAR = MONTH[:4]
DAY = today().isoformat()
GOOD = {"key": "k", "since": DAY, "status": "active", "name": "丁", "birth": "2017-01-02", "sex": "f", "category": ["orphan"]}


def one_station(net):
    station = net.init("C").run()
    station.record("file", GOOD)
    station.record("conference", {"day": DAY, "persons": 3})
    return station.settled()


def figures(station):
    return [station.figures(name, MONTH, by="unit")["rows"] for name in ("children", "conference")]


def refusals(station, tries):
    """tries: (what it does, words that must be in the message). Nothing may change."""
    before, counted = station.points(), figures(station)
    for run_one, *words in tries:
        result = run_one()
        equal(result.code, 1, result)
        for word in words:
            check(word in result.err, f"'{word}' in the message:", result.err)
        check(result.json["error"]["message"] in result.err, "the same in JSON", result)
        equal(station.points(), before, f"nothing changed by {result}")
        check(station.alive, "the node lives")
    equal(figures(station), counted, "figures")


def test_records_as_json():
    with Network(county(1, 2)) as net:
        station = one_station(net)

        def file(text, form="file"):
            return lambda: station.record(form, text if isinstance(text, str) else json.dumps(text, indent=1), code=1)
        refusals(station, [
            (file(""), "(stdin):1"),
            (file("{"), "(stdin):1"),
            (file("{}"), "(stdin):1", "since"),
            (file("[1]"), "(stdin):1"),
            (file('{"records": {}}'), "(stdin):1"),
            (file("[\n" + json.dumps(GOOD) + ",\n" + json.dumps({**GOOD, "key": "x", "sex": "x"}) + "\n]"), "(stdin):3", "sex", "f, m"),
            (file({**GOOD, "key": "x", "since": "2999-01-01"}), "since"),
            (file({**GOOD, "key": "x", "since": (today() + timedelta(days=40)).isoformat()}), "since", "since <= today"),
            (file({**GOOD, "key": "x", "birth": "1999-01-01"}), "birth"),
            (file({**GOOD, "key": "x", "since": "2023-02-29"}), "since", "2023-02-29"),
            (file({**GOOD, "key": "x", "height": 3}), "height", "has no such field"),
            (file({**GOOD, "key": "x", "name": "丁" * 41}), "name", "40"),
            (file({**GOOD, "key": "x", "name": 5}), "name", "text"),
            (file({**GOOD, "key": "x", "category": "orphan|", "sex": "f"}), "category"),
            (file({**GOOD, "key": "x", "category": ["nobody"]}), "nobody", "orphan"),
            (file({**GOOD, "key": "x", "home": "a b"}), "home"),
            (file('{"since": "%s", "since": "%s"}' % (DAY, DAY)), "(stdin):1"),
            (file('{"name": "\ud800"}'.encode("utf-8", "surrogatepass").decode("latin-1")), "(stdin):1"),
            (file({"subject": "00" * 16, "day": DAY}, "visit"), "subject"),
            (file({"subject": "zz", "day": DAY}, "visit"), "subject", "32"),
            (file({"day": DAY}, "visit"), "subject"),
            (file({"record": "11" * 16, "day": DAY, "persons": 1}, "conference"), "record"),
            (file({"record": "11" * 16, "void": True}, "conference"), "reason"),
            (file({"void": True, "reason": "x"}, "conference"), "record"),
            (file({"day": DAY, "persons": 1.5}, "conference"), "persons", "whole"),
            (file({"day": DAY, "persons": 10 ** 30}, "conference"), "(stdin):3", "too large"),
            (file({"day": DAY, "persons": 0}, "conference"), "persons >= 1"),
            (file({"day": DAY, "persons": 1, "key": "k"}, "conference"), "key"),
            (file({"day": DAY, "children": 5, "hardship": 6, "key": "b"}, "practice"), "hardship"),
            (file({"key": "k", "day": DAY, "guardian": "grave", "harm": "none", "poverty": "none", "colour": "green"}, "assess"), "why"),
            (file({"key": "k", "day": DAY, "guardian": "none", "harm": "none", "poverty": "none", "colour": "green", "score": 7}, "assess"), "score"),
            (file("[" * 1000), "(stdin):1"),
            (file([GOOD] * 3 + [{}]), "since"),
        ])


def test_records_as_csv():
    with Network(county(1, 2)) as net:
        station = one_station(net)
        path = net.dir / "records.csv"

        def file(text, form="conference"):
            def submit():
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
                return station.cli("record", form, "-f", path, "--json", code=1)
            return submit
        name = "records.csv:"
        refusals(station, [
            (file(""), name + "1"),
            (file("day,height\n"), name + "1", "height"),
            (file("day,day\n"), name + "1"),
            (file("day,at,persons\n"), name + "1", "day"),
            (file(f"day,persons\n{DAY},1\n{DAY}\n"), name + "3"),
            (file(f"day,persons\n{DAY},1\n{DAY},1,2\n"), name + "3"),
            (file(f"day,persons\n{DAY},1\n\n{DAY},1\n"), name + "3"),
            (file(f'day,persons\n{DAY},"1\n'), name + "2"),
            (file(f'day,persons\n{DAY},"1"x\n'), name + "2"),
            (file(f"day,persons\n{DAY},1\n{DAY},-3\n"), name + "3:", "persons"),
            (file(f"day,persons\n{DAY},one\n"), name + "2:", "one"),
            (file(f"day,persons\n{DAY},0x10\n"), name + "2:", "persons"),
            (file(f"day,persons\n02/03/2026,1\n"), name + "2:1", "day"),
            (file(b"day,persons\n\xff\xfe,1\n"), name + "2"),
            (file(b"day,persons\n2026-01-01\x00,1\n"), name + "2"),
            (file(f"day,persons\r{DAY},1\r"), name + "1"),
            (file("day,persons\n" + f"{DAY},1\n" * 500 + f"{DAY},201\n"), name + "502", "persons"),
            (file("x" * 70000), name + "1"),
        ])


def test_imports():
    with Network(county(1, 2)) as net:
        station = one_station(net)

        def file(name, text):
            def submit():
                path = net.dir / name
                path.write_text(text)
                return station.importing(path, code=1)
            return submit

        def csv(*rows, head="indicator,unit,period,value"):
            return file("values.csv", "\n".join((head, *rows)) + "\n")

        def dhis2(*values, **top):
            return file("values.json", json.dumps({"dataValues": values, **top}, indent=1))
        good = f"population,C1-001,{YEAR},5"
        one = {"dataElement": "population", "orgUnit": "C1-001", "period": YEAR, "value": "5"}
        refusals(station, [
            (csv(head="indicator,unit,period"), "values.csv:1", "value"),
            (csv(head="indicator,unit,period,value,height"), "values.csv:1", "height"),
            (csv(good, f"nothing,C1-001,{YEAR},5"), "values.csv:3", "nothing"),
            (csv(good, f"children,C1-001,{MONTH},5"), "values.csv:3", "records"),
            (csv(good, f"population,X,{YEAR},5"), "values.csv:3", "X"),
            (csv(good, f"population,C1,{YEAR},5"), "values.csv:3", "village"),
            (csv(good, f"population,C1-002,{MONTH},5"), "values.csv:3"),
            (csv(good, f"population,C1-002,{int(YEAR) + 1},5"), "values.csv:3", "future"),
            (csv(good, "population,C1-002,soon,5"), "values.csv:3", "soon"),
            (csv(good, f"population,C1-002,{YEAR},5.5"), "values.csv:3", "5.5"),
            (csv(good, f"population,C1-002,{YEAR},"), "values.csv:3"),
            (csv(good, f"population,C1-002,{YEAR},99999999999999999999"), "values.csv:3"),
            (csv(good, good), "values.csv:3", "line 2"),
            (file("values.json", "{"), "values.json:"),
            (file("values.json", "[]"), "values.json:"),
            (dhis2({**one, "value": "x"}), "values.json:", "x"),
            (dhis2({**one, "orgUnit": "X"}), "values.json:", "X"),
            (dhis2({"dataElement": "population", "value": 1}), "values.json:", "orgUnit"),
            (dhis2(one, one), "values.json:", "dataValues[1]"),
            (dhis2({**one, "deleted": True}), "values.json:"),
            (dhis2({**one, "height": 1}), "values.json:"),
            (dhis2({**one, "categoryOptionCombo": "a.b"}), "values.json:", "dimension"),
        ])
        equal(station.importing(net.dir / "values.csv", "--check", code=1).code, 1, "a check says the same")
        (net.dir / "values.csv").write_text("indicator,unit,period,value\n" + good + "\n")
        before = station.points()
        equal(station.importing(net.dir / "values.csv", "--check")["values"], 1, "one value is good")
        equal(station.points(), before, "a check keeps nothing")


def test_files_that_make_a_station():
    with Network(county(1, 1)) as net:
        units, book = net.dir / "bad.csv", net.dir / "bad.yaml"
        text = CODEBOOK.read_text(encoding="utf-8")
        head = "code,name,tier,parent_code\n"

        def init(units_text=None, codebook_text=None, unit="C", *more):
            units.write_text(units_text or net.units.read_text(encoding="utf-8"), encoding="utf-8")
            book.write_text(codebook_text or text, encoding="utf-8")
            result = sanji("init", net.dir / "new", "--unit", unit, "--units", units, "--codebook", book, *more, "--json", code=1)
            equal([path.name for path in net.dir.iterdir() if path.name.startswith("new")], [], f"nothing is left of {result}")
            return result
        for bad, *words in ((head, "bad.csv"), ("code,name,tier\n", "bad.csv:1", "parent_code"), (head + "C,a,county,\nD,b,county,\n", "bad.csv:3"),
                            (head + "C,a,county,\nC,b,village,C\n", "bad.csv:3", "C"), (head + "C,a,county,\nD,b,village,X\n", "bad.csv:3", "X"),
                            (head + "C,a,county,D\nD,b,village,C\n", "bad.csv"), (head + "C,a,County,\n", "bad.csv:2", "tier"),
                            (head + "C/..,a,county,\n", "bad.csv:2", "code"), (head + "C,,county,\n", "bad.csv:2", "name"),
                            (head + 'C,"a,county,\n', "bad.csv:2"), (head + "C,a\u202eb,county,\n", "bad.csv:2", "name"),
                            (head + "D,a,county,\n", "C")):
            result = init(bad)
            for word in words:
                check(word in result.err, f"'{word}' in", result.err)
        line = text[:text.index("  - {id: director,")].count("\n") + 1
        for old, new, *words in (("tier: village, zh: 儿童主任", "tier: hamlet, zh: 儿童主任", f"bad.yaml:{line}", "hamlet"),
                                 ("grammar: 1", "grammar: 9", "bad.yaml:"), ("roles:", "rolls:", "bad.yaml:"), ("where: \"status == 'active'\"", "where: \"stauts == 'active'\"", "bad.yaml:", "stauts"),
                                 ("codebook: {", "codebook: &a {", "bad.yaml:"), ("of: visit, by", "of: visits, by", "bad.yaml:", "visits"), ("kind: flow", "kind: flood", "bad.yaml:")):
            check(old in text, old)
            wrong = text.replace(old, new, 1)
            result = init(None, wrong)
            for word in words:
                check(word in result.err, f"'{word}' in", result.err)
            report = sanji("codebook", "check", book, "--json", code=1)
            check(not report.json["ok"] and report.json["errors"] and all("bad.yaml" in each for each in report.json["errors"]), "codebook check", report)
        check("listen" in init(None, None, "C", "--listen", "udp://x").err or "udp" in init(None, None, "C", "--listen", "udp://x").err, "an address")
        init(None, None, "C", "--listen", "tcp://127.0.0.1:70000")
        equal(sanji("init", net.dir, "--unit", "C", "--units", net.units, code=1).code, 1, "a directory with something in it is not taken")
        equal(sanji("init", net.dir / "new", "--unit", "C", "--units", net.dir / "missing.csv", code=1).code, 1, "no file")


def test_station_conf():
    with Network(county(1, 1)) as net:
        station = net.init("C")
        config = station.dir / "station.conf"
        good = config.read_text()
        for text, *words in ((good + "colour = red\n", "colour"), (good + "listen = tcp://127.0.0.1:1\n", "twice"), (good.replace("tcp://", "udp://"), "tcp://HOST:PORT"),
                             (good.replace("root = ", "root = x"), "root"), ("listen = tcp://127.0.0.1:1\n", "root"), (good + "nonsense\n", "name = value")):
            config.write_text(text)
            for arguments in (("run", station.dir), ("status", "-d", station.dir), ("verify", station.dir)):
                result = sanji(*arguments, code=1)
                check("station.conf" in result.err, "the file", result.err)
                for word in words:
                    check(word in result.err, f"'{word}' in", result.err)
                if word not in ("root",):
                    check("station.conf:" in result.err, "the line", result.err)
        config.write_text(good)
        station.run()
        station.record("conference", {"day": DAY, "persons": 1})


# ---- the control socket

def control(station):
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(30)
    link.connect(f"{station.dir}/control.sock")
    return link


def answer(link):
    """One reply, or what is left of it when the node ends the connection."""
    data = b""
    try:
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            part = link.recv(65536)
            if not part:
                break
            data += part
    except ConnectionError:
        pass
    return data[4:]


def memory(station):
    for line in open(f"/proc/{station.process.pid}/status", encoding="ascii"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def test_fault_43_claims_on_the_control_socket():
    with Network(county(1, 1)) as net:
        station = one_station(net)
        before, counted, size = station.points(), figures(station), memory(station)
        for claim in (b"\xff\xff\xff\xff", struct.pack(">I", 64 * 1024 * 1024 + 1), struct.pack(">I", 1 << 31)):
            link = control(station)
            link.sendall(claim)
            check("64 MiB".encode() in answer(link) or answer(link) == b"", "refused")
            link.close()
        links = [control(station) for _ in range(40)]  # each claims 64 MiB, and sends nothing of it
        for link in links:
            link.sendall(struct.pack(">I", 64 * 1024 * 1024))
        for garbage in (b"\x00\x00\x00\x00", b"\x00\x00\x00\x05\xff\xff\xff\xff\xff", b"\x00\x00\x00\x02\x0a\x7f", b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x04\x12\x02\x0a\x80"):
            link = control(station)
            link.sendall(garbage)
            link.shutdown(socket.SHUT_WR)
            answer(link)
            link.close()
        wait_for(lambda: station.status()["running"], "it answers others meanwhile")
        check(memory(station) - size < 64 * 1024 * 1024, "memory follows what came, not what was claimed:", size, memory(station))
        for link in links:
            link.close()
        equal(station.points(), before, "nothing changed")
        equal(figures(station), counted, "figures")
        crowd = [control(station) for _ in range(64)]
        result = station.cli("status", code=None)
        check(result.code in (0, 1), result)
        for link in crowd:
            link.close()
        wait_for(lambda: station.cli("status", code=None).code == 0, "room again")


def test_fault_43_claims_on_the_network():
    """Whoever is no peer gets nothing: frames of any size, before and after a handshake that never ends."""
    with Network(county(1, 1)) as net:
        top = net.init("C").run()
        town = net.join(top, "C1").run()
        wait_for(town.live, "the link")
        greeting = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE" + b"\x00" * 15 + b"\x00" + b"\x00" * 31
        long_frame = b"\x02" + struct.pack(">Q", 10 * 1024 ** 3)
        size = memory(top)
        for address in (top.listen, top.enrol):
            for start in (b"", greeting, greeting + long_frame, greeting + b"\x06" + struct.pack(">Q", 1 << 62)):
                link = socket.create_connection(place_of(address), 10)
                link.settimeout(1)
                try:
                    link.sendall(start)
                    for _ in range(64):
                        link.sendall(b"\x00" * 65536)
                except OSError:
                    pass
                link.close()
        check(memory(top) - size < 64 * 1024 * 1024, "memory:", size, memory(top))
        town.record("conference", {"day": DAY, "persons": 3})
        wait_for(lambda: top.value("conference", MONTH) == 3, "the real peer goes on")


run(test_records_as_json, test_records_as_csv, test_imports, test_files_that_make_a_station, test_station_conf,
    test_fault_43_claims_on_the_control_socket, test_fault_43_claims_on_the_network)
