"""A county's dashboard question, through the control socket: town x month x category over 36 months, from 1,000,000 visits of 1,350
stations; idle, and while a township sends all it can. Beside it the same from a bare LMDB table in process, and from PostgreSQL."""
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import county, month, network, percentile, row, skipped, until, which

WHAT = "a county's figures from 1,000,000 events of 1,350 stations, through the control socket"
TARGETS = ["tests/bench/bench_ask", "tests/bench/bench_fill", "tests/bench/bench_query_yardstick"]
EVENTS = 1_000_000
TOWNS, VILLAGES, MONTHS = 20, 1329, 36
SENDER = "S"  # one more town, whose station is a node: it sends while the county is asked
SENT = 800_000  # visits of the sender's villages for each round; more than it can send while it is let
SENT_BATCH = 200
INGEST_SECONDS = 0.7
TIMES = 1000


def parse(text):
    return json.loads(text)


def make(context, net):
    """The county, filled, and the sender with all that it has to send. Neither runs."""
    top = net.init("C").run()
    sender = net.join(top, SENDER, serves=True)
    top.stop()
    filled = parse(context.call(context.tool("fill"), top.dir, EVENTS, 1000, MONTHS, "months"))
    context.say(f"{filled['stations']} stations, {filled['events']} events")
    waiting = SENT * context.rounds
    context.call(context.tool("fill"), sender.dir, waiting, SENT_BATCH, MONTHS, "blocks")
    context.say(f"{waiting} events wait at the sender")
    return top, sender, f"{month(filled['month'] - MONTHS + 1)}..{month(filled['month'])}", filled


class Questions:
    def __init__(self, context, top, periods):
        self.context, self.top = context, top
        last = periods[-7:]
        self.asked = {
            "whole": ("visits", periods, "tier=township,period,category"),
            "colours": ("visits", periods, "tier=township,period,category,colour"),
            "town": ("visits", periods, "period,category", "C03"),
            "one": ("visits", last, "-", "C03", "category=orphan", "colour=red")}

    def ask(self, name, seconds=0, times=TIMES):
        return parse(self.context.call(self.context.tool("ask"), "socket", self.top.dir, seconds, times, *self.asked[name]))


# ---- PostgreSQL

class Postgres:
    """A server of its own on a Unix socket, with a roll-up table of the same size; None where it is not installed."""

    def __init__(self, context):
        places = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
        self.context, self.server = context, None
        self.programs = {name: which(name, *places[-1:]) for name in ("initdb", "pg_ctl", "psql", "pgbench")}
        self.missing = [name for name, path in self.programs.items() if not path]
        self.user = []
        if self.missing:
            return
        if os.geteuid() == 0:  # it refuses to run as root
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                self.missing = ["the user postgres"]
                return
            self.user = ["setpriv", "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups", "--"]
        self.dir = Path(tempfile.mkdtemp(prefix="sanji-bench-", dir="/var/tmp"))
        if self.user:
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
        self.start()

    def call(self, program, *arguments, data=None):
        done = subprocess.run([*self.user, self.programs[program], *map(str, arguments)], input=data, capture_output=True, text=True, check=False,
                              cwd=self.dir, env={**os.environ, "PGHOST": str(self.dir), "PGDATABASE": "postgres", "PGUSER": "postgres"}, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr[-600:]}")
        return done.stdout

    def start(self):
        data = self.dir / "data"
        self.call("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        with open(self.dir / "log", "w") as log:  # the server keeps it open
            subprocess.run([*self.user, self.programs["pg_ctl"], "-D", data, "-w", "-o", f"-c listen_addresses='' -k {self.dir}", "start"],
                           stdout=log, stderr=log, check=True, cwd=self.dir, timeout=60)
        self.server = data
        rows = "".join(f"{town}\t{at}\t{cell // 4}\t{cell % 4}\t{1 + town + at + cell}\n"
                       for town in range(TOWNS) for at in range(MONTHS) for cell in range(36))
        self.call("psql", "-q", "-c", "create table rollup(town int, month int, category int, colour int, value bigint, "
                  "primary key (town, month, category, colour))")
        self.call("psql", "-q", "-c", "copy rollup from stdin", data=rows)
        self.call("psql", "-q", "-c", "vacuum analyze rollup")
        for name, where in (("whole", ""), ("town", "where town = 3"), ("one", "where town = 3 and month = 7 and category = 1 and colour = 1")):
            by = "select value from rollup" if name == "one" else "select town, month, category, sum(value) from rollup"
            (self.dir / f"{name}.sql").write_text(f"{by} {where} {'' if name == 'one' else 'group by 1, 2, 3 order by 1, 2, 3'};\n")
            (self.dir / f"{name}.sql").chmod(0o644)

    def ask(self, name):
        """p50 in ms, prepared, on one connection."""
        for old in self.dir.glob("times*"):
            old.unlink()
        self.call("pgbench", "-n", "-M", "prepared", "-t", 100, "-f", f"{name}.sql", "-l", "--log-prefix", "times")
        times = [int(line.split()[2]) for path in self.dir.glob("times*") for line in path.read_text().splitlines()]
        return percentile(times, 0.5) / 1000

    def stop(self):
        if self.server:
            subprocess.run([*self.user, self.programs["pg_ctl"], "-D", self.server, "-m", "immediate", "-w", "stop"], capture_output=True, check=False,
                           cwd=self.dir, timeout=60)
        if not self.missing:
            shutil.rmtree(self.dir, ignore_errors=True)


# ---- measuring

def journal(station):
    return station.status()["journal_entries"]


def one_round(context, questions, top, sender, postgres, found):
    for name in questions.asked:
        found[name].append(questions.ask(name))
    place = context.directory / "yardstick"
    place.mkdir()
    bare = parse(context.call(context.tool("query_yardstick"), place, TOWNS, MONTHS, TIMES))
    shutil.rmtree(place)
    found["bare"].append(bare)
    if not postgres.missing:
        found["postgres"].append({name: postgres.ask(name) for name in ("whole", "town", "one")})
    before = journal(top)
    sender.resume()
    until(lambda: journal(top) > before, "entries of the sender")
    before = journal(top)
    found["ingest"].append(questions.ask("whole", INGEST_SECONDS, 0))
    found["arrived"].append((journal(top) - before) / INGEST_SECONDS)
    sender.pause()
    seen = [-1, journal(top)]

    def quiet():
        seen[:] = seen[1], journal(top)
        return seen[0] == seen[1]
    until(quiet, "quiet")


def rows(found, postgres):
    def p50(name, quantile="p50_ms"):
        return [round_[quantile] for round_ in found[name]]
    bare = {name: [round_[f"{name}_ms"] for round_ in found["bare"]] for name in ("whole", "town", "one")}
    answer = found["whole"][0]
    yield row("whole county, idle, p50", p50("whole"), "ms", "less", bare["whole"], must=0.5, aim=0.3, rows=answer["rows"], bytes=answer["bytes"])
    yield row("whole county, idle, p99", p50("whole", "p99_ms"), "ms", "less")
    yield row("whole county under ingest, p50", p50("ingest"), "ms", "less", bare["whole"], must=1.0, aim=0.5, arrived_per_s=found["arrived"])
    yield row("whole county under ingest, p99", p50("ingest", "p99_ms"), "ms", "less")
    yield row("meanwhile arrived", [round(rate) for rate in found["arrived"]], "entries/s", "more")
    yield row(f"the same by colour, {found['colours'][0]['rows']:,} rows, p50", p50("colours"), "ms", "less")
    yield row("one town, p50", p50("town"), "ms", "less", bare["town"])
    yield row("one counter, p50", p50("one"), "ms", "less", bare["one"])
    if postgres.missing:
        yield skipped("PostgreSQL", f"not installed ({', '.join(postgres.missing)})")
        return
    for name, what in (("whole", "whole county"), ("town", "one town"), ("one", "one counter")):
        ours = [round_["p50_ms"] for round_ in found[name]]
        yield row(f"PostgreSQL roll-up table, {what}, p50", [round_[name] for round_ in found["postgres"]], "ms", "less", ours)


def run(context):
    units = county(TOWNS, VILLAGES) + [(SENDER, "S镇", "township", "C")] + [(f"S-{at:03}", f"S{at}村", "village", SENDER) for at in range(60)]
    found = {name: [] for name in ("whole", "colours", "town", "one", "bare", "postgres", "ingest", "arrived")}
    postgres = Postgres(context)
    try:
        with network(units) as net:
            top, sender, periods, filled = make(context, net)
            top.run()
            sender.run(wait=False)
            sender.pause()
            questions = Questions(context, top, periods)
            first = questions.ask("whole", times=10)
            # a category's visits and the total `*` are rows of their own: every visit counts twice; the sender may have begun
            if not 2 * EVENTS <= first["sum"] < 2 * (EVENTS + SENT * context.rounds):
                raise RuntimeError(f"wrong figures: {first}")
            for number in range(context.rounds):
                one_round(context, questions, top, sender, postgres, found)
                context.say(f"round {number + 1}: idle {found['whole'][-1]['p50_ms']:.3f} ms, ingest {found['ingest'][-1]['p50_ms']:.3f} ms, "
                            f"{found['arrived'][-1]:,.0f} entries/s")
            sender.resume()
        context.note(f"{filled['stations']} stations' batches were checked and applied by the node's own code; figures add up to {EVENTS:,} visits.")
        context.note("PostgreSQL's ratio is to ours: how many times slower. Bare LMDB: one process, no socket, no units, no freshness.")
        return list(rows(found, postgres))
    finally:
        postgres.stop()
