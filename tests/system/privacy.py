"""Canaries: words typed into personal fields are afterwards in no file, no line of a log, no answer and nothing that goes over a wire."""
from harness import Network, check, county, equal, run, wait_for
from model import month_name, month_of, today

MONTH = month_name(month_of(today()))
DAY = today().isoformat()
BODY = {  # field -> a word that stands nowhere else
    "name": "金丝雀七七", "idno": "32108120150607CNRY", "guardian_phone": "13900CANARY1", "why_left": "canaryleft88", "findings": "canaryvisit99",
    "note": "canarynote55", "facts": "canaryfacts66", "goal": "canarygoal33", "decision": "canarydecides22", "summary": "canarysums44",
    "why": "canarywhy11", "place": "32.987651 119.876543 17", "until": "2091-07-13",
}
REPORTER = {"told_by": "金丝雀线人", "told_phone": "13911CANARY2"}
BIRTH = "2015-06-07"
WORDS = [*BODY.values(), *REPORTER.values(), BIRTH, "999canarykey", "32.987651", "32987651", "119876543"]
EXACTLY = {word.encode() for word in WORDS} | {word.encode("utf-16-le") for word in WORDS}


def typed(station):
    """Every personal field there is, once."""
    child = {"key": "999canarykey", "since": "2026-01-05", "status": "active", "birth": BIRTH, "sex": "f", "category": ["orphan"],
             **{name: BODY[name] for name in ("name", "idno", "guardian_phone")}}
    answers = [station.record("file", child)]
    subject = answers[0][0]["subject"]
    for form, values in (("assess", {"guardian": "none", "harm": "none", "poverty": "none", "colour": "red", "why": BODY["why"]}),
                         ("visit", {"findings": BODY["findings"], "place": BODY["place"]}), ("plan", {"goal": BODY["goal"], "until": BODY["until"]})):
        answers.append(station.record(form, {"subject": subject, "day": DAY, **values}))
    for form, values in (("lead", {"source": "police", "outcome": "enter", "note": BODY["note"]}), ("conference", {"persons": 1, "decision": BODY["decision"]}),
                         ("service", {"kind": "case", "children": [subject], "summary": BODY["summary"]}),
                         ("report", {"by": "school", "facts": BODY["facts"], **REPORTER})):
        answers.append(station.record(form, {"day": DAY, **values}))
    first = station.record("file", {**child, "record": answers[0][0]["record"], "sex": "m"})  # a correction, and another subject that leaves
    answers += [first, station.record("file", {**child, "key": "other", "status": "left", "why_left": BODY["why_left"]})]
    return answers


def canaries(data):
    return sorted(word for word in EXACTLY if word in data)


def files(net):
    for path in sorted(net.dir.rglob("*")):
        if path.is_file() and not path.is_socket():
            yield path, path.read_bytes()


def without_canaries(data, where):
    found = canaries(data if isinstance(data, bytes) else data.encode(errors="surrogateescape"))
    check(not found, where, "holds", found)


def answers_of(station, unit=None):
    for indicator in ("children", "visits", "leads", "reports", "plans", "services", "conference", "assessments"):
        for arguments in ((), ("--json",), ("--csv",)):
            yield station.cli("figures", "-i", indicator, "-p", MONTH, "--by", "unit", *arguments)
    for arguments in (("status",), ("status", "--json"), ("units", "--json"), ("forms", "--json"), ("verify", "--json")):
        yield station.cli(*arguments)


def test_fault_37_38_68_canaries_are_nowhere():
    with Network(county(1, 2)) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001")
        proxies = [net.proxy(village)]
        village.run()
        typed(village)
        town.record("conference", {"day": DAY, "persons": 2, "decision": BODY["decision"]})
        wait_for(lambda: top.value("conference", MONTH) == 3 and top.value("reports", MONTH) == 1 and top.value("children", MONTH) == 1, "figures at the county")
        wait_for(lambda: village.up()["backlog_rows"] == 0 and town.up()["backlog_rows"] == 0, "everything has gone up")
        bad = village.record("file", {"since": DAY, "status": "active", "name": BODY["name"], "birth": BIRTH, "sex": "x", "idno": BODY["idno"]}, code=1)
        without_canaries(bad.err.replace(BIRTH, ""), "the message about another field")
        for station in (top, town, village):
            for result in answers_of(station):
                without_canaries(result.out + result.err, f"{station}: {result.arguments}")
        check(len(proxies[0].passed) > 4000, "bytes that went through the proxy:", len(proxies[0].passed))
        without_canaries(bytes(proxies[0].passed), "what went over the wire")
        for word in (b"conference", b"C1-001", b"children"):
            check(word not in proxies[0].passed, "the wire shows", word)
        for moment in ("while the nodes run", "after they ended"):
            count = 0
            for path, data in files(net):
                without_canaries(data, f"{path.relative_to(net.dir)} {moment}")
                count += 1
            check(count > 20, "files looked at:", count)
            for station in (village, town, top):
                if station.process:
                    station.stop()
        equal(canaries("金丝雀七七".encode() + b"x13911CANARY2"), sorted([BODY["name"].encode(), b"13911CANARY2"]), "the search itself finds them")


def test_fault_37_a_process_leaves_no_core_and_other_users_read_no_file():
    with Network(county(1, 1)) as net:
        top = net.init("C").run()
        typed(top)
        limits = open(f"/proc/{top.process.pid}/limits", encoding="ascii").read()
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        equal(line.split()[4:6], ["0", "0"], "no core file")
        for path in top.dir.rglob("*"):
            mode = path.stat().st_mode & 0o777
            if path.name == "station.conf":
                continue  # addresses and the root's hash
            check(mode & 0o077 == 0, path, oct(mode))
        equal(top.dir.stat().st_mode & 0o077, 0, "the directory")
        for source in ("environ", "cmdline"):
            without_canaries(open(f"/proc/{top.process.pid}/{source}", "rb").read(), source)


def test_fault_38_a_withdrawn_record_leaves_nothing_either():
    with Network(county(1, 1)) as net:
        top = net.init("C")
        typed(top)
        record = top.record("lead", {"day": DAY, "source": "police", "outcome": "enter", "note": BODY["note"]})[0]["record"]
        top.record("lead", {"record": record, "void": True, "reason": "误报"})
        for path, data in files(net):
            without_canaries(data, path.relative_to(net.dir))


run(test_fault_37_38_68_canaries_are_nowhere, test_fault_37_a_process_leaves_no_core_and_other_users_read_no_file,
    test_fault_38_a_withdrawn_record_leaves_nothing_either)
