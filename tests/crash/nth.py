"""The n-th call of a kind fails, n = 1, 2, 3, ... until the verb succeeds without a failure: nothing is acknowledged that is not durable,
nothing is half done, the message says what happened and what to do, and the same verb succeeds afterwards.
SANJI_ALL=1 tries every n, otherwise the first ones and a seeded part of the others (SANJI_SEED). README.md says more."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
from functools import lru_cache

from recording import ALL, SEED
from harness import CODEBOOK, SANJI, Failed, Network, _in_child, check, comment, county, environment, equal, run, sanji, wait_for

FAIL = os.environ["FAIL"]
MANY = 60  # steps are so much shorter when all are tried
NODE_TRIALS = 4  # of a node, each taking a second, when not
DAY = "2023-03-05"
CHILDREN = json.dumps([{"key": f"k{n}", "since": DAY, "status": "active", "name": "甲", "birth": "2016-03-04", "sex": "f",
                        "category": ["orphan"]} for n in range(10)])


def numbers(first, more):
    """1, 2, 3, ...; when not all are to be tried, with seeded steps of about `more` after the first ones. There are tens of thousands of
    allocations in a run: of those, `all` tries one in some dozens here, and tests/unit/node/failures.c each one."""
    pick, n = random.Random(SEED), 0
    step = max(1, more // MANY) if ALL else more
    while True:
        n += 1 if n < first or step == 1 else 1 + pick.randrange(2 * step)
        yield n


class Trial:
    """One verb, tried with a failure again and again, each time in a copy of the same directory."""

    def __init__(self, net, name, template, command, stdin=None):
        self.net, self.name, self.template, self.command, self.stdin = net, name, template, command, stdin
        self.makes = template is None
        self.dir = net.dir / f"{name}.trial"
        self.outcomes = {}
        self.whole = 0  # batches when it has succeeded

    def fresh(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for left in self.net.dir.glob(f"{self.dir.name}.*"):
            shutil.rmtree(left)
        if self.template:
            shutil.copytree(self.template, self.dir, ignore=lambda _, names: [name for name in names if name.startswith("control.sock")])

    def call(self, **env):
        done = sanji(*[self.dir if part is DIR else part for part in self.command()], stdin=self.stdin, code=None, **env)
        check(not re.search(r"Assertion|assert|Sanitizer", done.err) or done.code == -signal.SIGABRT, "an assertion:", done)
        return done

    def batches(self):
        done = sanji("verify", "-d", self.dir, "--json", code=None)
        check(done.code == 0, "verify afterwards:", done)
        return done.json["batches"]

    def judge(self, done):
        """The outcome of a call in which something failed."""
        if done.code == 0:
            self.outcomes["did without"] = self.outcomes.get("did without", 0) + 1
            return True
        if done.code == -signal.SIGABRT and re.search(r"zmq|Out of memory|FATAL ERROR", done.err + "zmq" * (not done.err.strip())):
            self.outcomes["ZeroMQ ended it"] = self.outcomes.get("ZeroMQ ended it", 0) + 1
            return False
        equal(done.code, 1, f"exit status of {done}")
        lines = [line for line in done.err.splitlines() if line.strip()]
        check(len(lines) >= 2 or ";" in done.err, "what happened and what to do:", done)
        check("Success" not in done.err, "no error at all:", done)
        equal(done.out.strip(), "", f"what a failed verb printed: {done}")
        self.outcomes["refused"] = self.outcomes.get("refused", 0) + 1
        return False

    def once(self, what, n, ever=False):
        """False: nothing failed any more."""
        self.fresh()
        exists = self.dir.exists()
        before = self.batches() if exists else 0
        note = self.net.dir / "failed"
        note.unlink(missing_ok=True)
        env = {"LD_PRELOAD": FAIL, "FAIL_WHAT": what, "FAIL_AT": str(n), "FAIL_NOTE": str(note), "FAIL_UNDER": str(self.net.dir),
               "FAIL_EVER": "1" if ever else None}
        done = self.call(**env)
        if not note.exists():
            equal(done.code, 0, f"nothing failed: {done}")
            return False
        acknowledged = self.judge(done)
        check(acknowledged or not self.makes or not self.dir.exists(), "failed, and left a station:", done)
        if self.dir.exists():
            now = self.batches()
            check(now in (before, self.whole), f"half done: {before} batches before, {now} now", done)
            check(not acknowledged or now == self.whole, "acknowledged, and not there:", done)
        check(not acknowledged or self.dir.exists(), "said to be ready, and not there")
        if not acknowledged:
            again = self.call()
            equal(again.code, 0, f"the same again: {again}")
            self.batches()
        return True

    def all(self, what, first=12, more=1, ever=False):
        self.fresh()
        equal(self.call().code, 0, "without a failure")
        self.whole = self.batches()
        tried = 0
        for n in numbers(first, more):
            try:
                if not self.once(what, n, ever):
                    break
            except Failed as failed:
                raise Failed(f"{self.name}: {what} {n}: {failed}") from None
            tried += 1
        check(tried > 0, f"{self.name}: no {what} was ever called")
        comment(f"{self.name}, {what}: {tried} failures, up to n = {n}: " + ", ".join(f"{key} {count}" for key, count in self.outcomes.items()))
        self.outcomes = {}


DIR = object()


class Place:
    """A county that runs, whose tokens the trials use, and a copy of it that does not."""

    def __init__(self):
        self.net = Network(county(150, 1))
        self.top = self.net.init("C")
        self.still = self.net.dir / "still"
        shutil.copytree(self.top.dir, self.still)
        self.top.run()
        self.units = iter(range(1, 151))
        self.token = None

    def invite(self):
        self.token = self.top.invite(f"C{next(self.units)}")[0]


@lru_cache
def place():
    return Place()


def trial(name):
    net, still = place().net, place().still
    if name == "init":
        return Trial(net, name, None, lambda: ["init", DIR, "--unit", "C", "--units", net.units, "--codebook", CODEBOOK])
    if name == "join":
        return JoinTrial(net, name, None, lambda: ["join", DIR, place().token])
    if name == "record":
        return Trial(net, name, still, lambda: ["record", "file", "-d", DIR], stdin=CHILDREN)
    return Trial(net, name, still, lambda: ["invite", "C1", "-d", DIR])


class JoinTrial(Trial):
    """Each time with a token of its own."""

    def fresh(self):
        super().fresh()
        place().invite()


VERBS = ("init", "join", "record", "invite")


def fault_5_the_nth_flush_fails():
    for name in VERBS:
        trial(name).all("sync", 4, 2)


def fault_6_the_nth_write_of_the_first_page_fails():
    for name in VERBS:
        trial(name).all("meta")


def fault_7_the_nth_write_finds_no_room():
    for name in VERBS:
        trial(name).all("write", 3, 3)
        trial(name).all("short", 2, 4)
    trial("record").all("write", 2, 4, ever=True)


def fault_2_the_nth_rename_fails():
    for name in VERBS:
        trial(name).all("rename", 3, 2)


def fault_14_the_nth_open_finds_no_descriptor():
    for name in VERBS:
        trial(name).all("open", 3, 4)


def fault_13_the_nth_malloc_of_a_verb():
    for name in VERBS:
        trial(name).all("memory", 3, 2500)


# ---- a node that receives, while a call fails

class Receiving:
    """A township has recorded what the county has not got; both can be put back to that moment."""

    def __init__(self):
        self.net = net = Network(county(1, 1))
        self.top, self.town = net.chain("C", "C1")
        wait_for(lambda: self.town.live() and self.town.up()["backlog_rows"] == 0, "all is told")
        self.top.stop()
        self.town.record("file", json.loads(CHILDREN))
        self.town.stop()
        for station in (self.top, self.town):
            shutil.copytree(station.dir, net.dir / f"{station.name}.kept")

    def arrived(self):
        return self.top.value("children", DAY[:7]) == 10

    def once(self, what, n):
        top, town = self.top, self.town
        for station in (top, town):
            shutil.rmtree(station.dir)
            shutil.copytree(self.net.dir / f"{station.name}.kept", station.dir)
        note = self.net.dir / "failed"
        note.unlink(missing_ok=True)
        town.run()
        env = {"LD_PRELOAD": FAIL, "FAIL_WHAT": what, "FAIL_AT": str(n), "FAIL_NOTE": str(note), "FAIL_UNDER": str(top.dir)}
        with open(top.log, "wb") as log:
            process = subprocess.Popen([SANJI, "run", str(top.dir)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(**env),
                                       preexec_fn=_in_child({}))
        top.process = process
        wait_for(lambda: note.exists() or process.poll() is not None or self._peek(), "a failure, or the figures")
        failed = note.exists()
        if failed:
            self._after(process, what)
        else:
            top.stop()
        if not top.process:
            top.run()
        wait_for(self.arrived, f"{what} {n}: the figures")
        wait_for(lambda: town.live() and town.up()["backlog_rows"] == 0, f"{what} {n}: all acknowledged")
        for station in (town, top):
            station.stop()
            equal(station.verify(), [], f"{what} {n}: {station}")
        return failed

    def _peek(self):
        return sanji("figures", "-d", self.top.dir, "-i", "children", "-p", DAY[:7], "--json", code=None).out.count('"subtree": 10') == 1

    def _after(self, process, what):
        """A node that can't go on has ended, and said why; one that can goes on, and is stopped here."""
        def settled():
            return process.poll() is not None or self._peek()
        try:
            wait_for(settled, "the node has ended, or has the figures", 2)
        except Failed:
            pass  # it goes on, and its next try is later
        self.top.process = None
        if process.poll() is None:
            process.kill()
        code = process.wait()
        said = self.top.tail()
        if code == 1:
            check(re.search(r"; .+|\n.+", said), "what happened and what to do:", said)
        else:
            check(code == -signal.SIGKILL or (code == -signal.SIGABRT and what in ("memory", "send", "open")), "exit", code, said)

    def all(self, what, first, step):
        tried, n = 0, 0
        for n in numbers(first, step):
            if not self.once(what, n):
                break
            tried += 1
            if not ALL and tried >= NODE_TRIALS:
                break
        check(tried > 0, what, "never failed")
        comment(f"a node that receives, {what}: {tried} failures, up to n = {n}")


@lru_cache
def receiving():
    return Receiving()


def fault_5_the_nth_flush_of_a_node_that_receives():
    receiving().all("sync", 1, 2)


def fault_6_the_nth_write_of_the_first_page_of_a_node_that_receives():
    receiving().all("meta", 2, 2)


def fault_7_the_nth_write_of_a_node_that_receives():
    receiving().all("write", 1, 5)


def fault_13_the_nth_malloc_of_a_node_that_receives():
    receiving().all("memory", 1, 15000)


def fault_50_the_nth_send_of_a_node_that_receives():
    receiving().all("send", 1, 5)


def end():
    for made in (place, receiving):
        if made.cache_info().currsize:
            with made().net:
                pass  # its end removes what it made, too


if __name__ == "__main__":
    try:
        run(fault_2_the_nth_rename_fails, fault_5_the_nth_flush_fails, fault_6_the_nth_write_of_the_first_page_fails,
            fault_7_the_nth_write_finds_no_room, fault_13_the_nth_malloc_of_a_verb, fault_14_the_nth_open_finds_no_descriptor,
            fault_5_the_nth_flush_of_a_node_that_receives, fault_6_the_nth_write_of_the_first_page_of_a_node_that_receives,
            fault_7_the_nth_write_of_a_node_that_receives, fault_13_the_nth_malloc_of_a_node_that_receives,
            fault_50_the_nth_send_of_a_node_that_receives)
    finally:
        end()
