#!/usr/bin/env python3
"""deploy/quickstart's second half: makes 仪征市 on this machine, one node for each of its 216 units, lets the villages record a made-up
year, and compares the county's figures with the published ones. Only the Python 3.11 standard library and the program `sanji`."""
import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import sys
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.dont_write_bytecode = True
import comparison  # noqa: E402
from processes import CALLS_AT_ONCE, JOIN_TRIES, Failure, Nodes, Program, answers, free_ports  # noqa: E402
from screen import REDRAW_SECONDS, Counts, Screen, tr  # noqa: E402
from yizheng import expected, records  # noqa: E402

HERE = Path(__file__).resolve().parent
CODEBOOK = HERE.parent / "schema/codebook/child-protection.yaml"
UNITS = HERE / "yizheng/units.csv"
MARK = ".sanji-quickstart"  # a directory with this file is the quickstart's own, to be emptied
STATION_BYTES = 2 << 20  # of disk, a station with its log; measured after the year: 0.6 MiB on average, 9 MiB at the county
MAKING_AT_ONCE = 4  # stations that join and start; on two processors more only wait
AGREE_SECONDS = 180  # from the last record to figures that agree: many times what a loaded laptop needs
POLL_SECONDS = 0.5
TOWNS_POLL_SECONDS = 2.0
AGAIN_SECONDS = 30  # a node that the newcomer stopped: time to see the others work without it
WHOLE = 216  # units of the tree


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/quickstart", formatter_class=argparse.RawDescriptionHelpFormatter, description=tr(
        "Runs the county 仪征市 on this machine: the county, 18 towns and parks and 197 villages have a station each, every one a\n"
        "process of its own with its own keys and store. The villages record an artificial year of 2023, and the county's figures are\n"
        "compared with the published ones. Then it stays up for you to look around; Ctrl-C stops all of it.",
        "在本机运行仪征市：县级 1 个、乡镇和园区 18 个、村（社区）197 个站点，每个站点都是独立进程，各有密钥和存储。\n"
        "各村录入虚构的 2023 年数据，县级数值与公布数值逐项核对。之后保持运行，供您试用；Ctrl-C 全部停止。"))
    parser.add_argument("--once", action="store_true", help=tr("end when the figures agree and every store is verified",
                                                               "数值一致、全部存储核验后即结束"))
    parser.add_argument("--stations", type=int, default=WHOLE, metavar="N", help=tr(
        "only the first N units of the tree have a station (1 to 216; 3: county, one town, one village)",
        "只为单位树的前 N 个单位建站（1 至 216；3 即县、一镇、一村）"))
    parser.add_argument("--dir", type=Path, metavar="DIR", help=tr(
        "where the stations live (default: $XDG_RUNTIME_DIR/sanji-quickstart or /tmp/sanji-quickstart-UID)",
        "站点目录（默认 $XDG_RUNTIME_DIR/sanji-quickstart 或 /tmp/sanji-quickstart-UID）"))
    parser.add_argument("--keep", action="store_true", help=tr("leave the directory there at the end", "结束后保留目录"))
    parser.add_argument("--binary", type=Path, default=HERE.parent / "build/release/node/sanji", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.stations <= WHOLE:
        parser.error(tr("--stations: 1 to 216", "--stations：1 至 216"))
    return options


# ---- the directory


def default_directory(stations):
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK) and shutil.disk_usage(runtime).free > 2 * stations * STATION_BYTES:
        return Path(runtime) / "sanji-quickstart"
    return Path(f"/tmp/sanji-quickstart-{os.getuid()}")


def claim(directory, stations):
    """Makes it, or empties what an earlier quickstart left; refuses anything else. Returns the open mark, which is the lock."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700, parents=True)
    about = directory.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise Failure(tr(f"{directory}: not a directory of yours; name another with --dir",
                         f"{directory}：不是您的目录；请用 --dir 另行指定"))
    mark = directory / MARK
    if any(directory.iterdir()) and not mark.is_file():
        raise Failure(tr(f"{directory}: has other things in it; name an empty or a new directory",
                         f"{directory}：含有其他文件；请指定空目录或新目录"))
    lock = open(mark, "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(tr(f"{directory}: another quickstart runs there", f"{directory}：另一个快速体验正在此运行")) from None
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
    directory.chmod(0o700)
    free = shutil.disk_usage(directory).free
    if free < stations * STATION_BYTES:
        raise Failure(tr(f"{directory}: {free >> 20} MiB free, {stations * STATION_BYTES >> 20} needed; name another place with --dir",
                         f"{directory}：剩余 {free >> 20} MiB，需要 {stations * STATION_BYTES >> 20} MiB；请用 --dir 另行指定"))
    return lock


async def all_of(jobs):
    """Runs them side by side; the first failure ends all."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class County:
    def __init__(self, options, directory, screen, counts):
        self.options, self.directory, self.screen, self.counts = options, directory, screen, counts
        self.today = datetime.now(timezone(timedelta(hours=8))).date()  # the codebook's zone, whatever this process has
        generated = records.generate(self.today)
        self.stations = list(generated.values())[:options.stations]
        self.county = self.stations[0]
        self.towns = [station for station in self.stations if station.unit.tier == "township"]
        self.villages = [station for station in self.stations if station.unit.tier == "village"]
        self.figures = records.load_figures()
        self.questions = comparison.questions_of(self.figures)
        self.expected = {figure.id: expected.of_figure(figure, self.stations) for figure in self.figures}
        self.logs = directory / "logs"
        self.program = Program(options.binary, CALLS_AT_ONCE)
        self.watcher = Program(options.binary, 2)  # its questions do not wait behind a thousand records
        self.nodes = Nodes(options.binary, self.logs)
        self.making = asyncio.Semaphore(MAKING_AT_ONCE)
        ports = iter(free_ports(2 * (1 + len(self.towns))))
        self.ports = {station.unit.code: (next(ports), next(ports)) for station in [self.county] + self.towns}
        self.kept = []  # (time, records kept so far that a flow counts once)
        self.counting = {expected.FLOWS[indicator][0] for indicator in expected.EACH_ONCE}
        self.well = False  # all agreed
        self.record_seconds = 0.0
        self.lag_max, self.samples = 0.0, 0
        counts.records = sum(station.count() for station in self.stations)
        counts.county_expects = expected.arriving(self.stations)
        counts.towns_expect = expected.arriving(self.towns + self.villages)
        counts.tiers = [[tr("county", "县级"), 0, 1], [tr("towns and parks", "乡镇和园区"), 0, len(self.towns)],
                        [tr("villages and communities", "村和社区"), 0, len(self.villages)]]

    def place(self, station):
        return self.directory / station.unit.code

    def addresses(self, station):
        listen, join = self.ports[station.unit.code]
        return ["--listen", f"tcp://127.0.0.1:{listen}", "--join", f"tcp://127.0.0.1:{join}"]

    # -- putting stations in service

    async def start(self, station, tier):
        await self.nodes.start(self.place(station))
        self.counts.tiers[tier][1] += 1

    async def join(self, station, token):
        options = self.addresses(station) if station.unit.code in self.ports else []
        for tries in range(JOIN_TRIES):
            try:
                return await self.program.ask("join", str(self.place(station)), token, *options)
            except Failure:
                if tries == JOIN_TRIES - 1:
                    raise
                await asyncio.sleep(0.5 * (tries + 1))

    async def invite(self, parent, children):
        if not children:
            return {}
        answer = await self.program.ask_json("invite", "-d", str(self.place(parent)), "--ttl", "1h", *(child.unit.code for child in children))
        return {invitation["unit"]: invitation["token"] for invitation in answer}

    async def put_in_service(self, station, token, tier):
        async with self.making:
            await self.join(station, token)
            await self.start(station, tier)

    async def town(self, town, token):
        await self.put_in_service(town, token, 1)
        villages = [village for village in self.villages if village.unit.parent == town.unit.code]
        tokens = await self.invite(town, villages)
        await all_of(self.put_in_service(village, tokens[village.unit.code], 2) for village in villages)

    async def build(self):
        self.counts.stage = tr("stations join", "站点加入")
        self.logs.mkdir()
        await self.program.ask("init", str(self.place(self.county)), "--unit", self.county.unit.code, "--units", str(UNITS), "--codebook",
                               str(CODEBOOK), *self.addresses(self.county))
        await self.start(self.county, 0)
        tokens = await self.invite(self.county, self.towns)
        await all_of(self.town(town, tokens[town.unit.code]) for town in self.towns)

    # -- recording

    async def submit(self, station, form, batch):
        text = json.dumps(batch, ensure_ascii=False).encode()
        post = records.POSTS[station.unit.tier]
        answer = await self.program.ask_json("record", form, "-d", str(self.place(station)), "--post", post, data=text)
        self.counts.recorded += len(batch)
        return [kept["record"] for kept in answer["records"]]

    async def record(self, station):
        ids = {}
        for form, batch in station.batches.items():
            ids[form] = await self.submit(station, form, batch)
            if form in self.counting:
                self.kept.append((time.monotonic(), len(batch) + (self.kept[-1][1] if self.kept else 0)))
        for correction in station.corrections:
            await self.submit(station, correction.form, [correction.record | {"record": ids[correction.form][correction.index]}])
        if station.entered:
            rows = [f"{indicator},{station.unit.code},{period},{value}" for indicator, period, value in station.entered]
            await self.program.ask("import", "-d", str(self.place(station)), "-", data="\n".join(["indicator,unit,period,value"] + rows).encode())

    async def record_all(self):
        self.counts.stage = tr("villages record", "各村录入")
        begun = time.monotonic()
        await all_of(self.record(station) for station in self.stations)
        self.record_seconds = time.monotonic() - begun

    # -- watching

    async def arrived(self, station):
        reply = await self.watcher.ask_json("figures", "-d", str(self.place(station)), "-i", ",".join(expected.EACH_ONCE), "--period",
                                            f"{comparison.YEAR}-01..{self.today:%Y-%m}")
        return sum(row["subtree"] or 0 for row in reply["rows"])

    def measure(self):
        """Lag: how long ago the stations had kept as many records as the county counts now."""
        self.samples += 1
        counts, now = self.counts, time.monotonic()
        waiting = next((since for since, total in self.kept if total > counts.at_county), None)
        counts.lag = None if not self.kept else now - waiting if waiting else 0.0
        self.lag_max = max(self.lag_max, counts.lag or 0.0)
        recent = [total for since, total in self.kept if since < now - 3]
        if self.kept:
            counts.rate = (self.kept[-1][1] - (recent[-1] if recent else 0)) / min(3.0, max(0.1, now - self.kept[0][0]))

    async def watch_county(self):
        while True:
            if self.counts.tiers[0][1] and self.counts.recorded:
                status = await self.watcher.ask_json("status", "-d", str(self.place(self.county)))
                self.counts.statements = status["journal_entries"]
                self.counts.at_county = await self.arrived(self.county)
                self.measure()
            for directory in self.nodes.ended():
                raise Failure(tr(f"the node in {directory} ended by itself:\n", f"{directory} 的节点自行终止：\n") +
                              self.nodes.last_words(directory))
            await asyncio.sleep(POLL_SECONDS)

    async def watch_towns(self):
        while True:
            if self.counts.recorded and self.counts.at_towns < self.counts.towns_expect:
                self.counts.at_towns = sum(await all_of(self.arrived(town) for town in self.towns))
            await asyncio.sleep(TOWNS_POLL_SECONDS)

    async def redraw(self):
        while True:
            self.screen.draw()
            await asyncio.sleep(REDRAW_SECONDS)

    # -- comparing

    async def read_figures(self, station, by_unit):
        values = {}
        replies = await all_of(self.program.ask_json("figures", "-d", str(self.place(station)), *question.options(by_unit))
                               for question in self.questions)
        for question, reply in zip(self.questions, replies):
            values |= question.read(reply)
        return values

    def totals(self, values, station):
        return {figure.id: values[figure.id][station.unit.code] for figure in self.figures}

    async def agree(self):
        """Waits until the county's figures are what they should be. Returns them, equal or not."""
        self.counts.stage = tr("statements travel up", "统计上行")
        end = time.monotonic() + AGREE_SECONDS
        while True:
            totals = self.totals(await self.read_figures(self.county, False), self.county)
            if totals == self.expected or time.monotonic() > end:
                return totals
            await asyncio.sleep(POLL_SECONDS)

    async def compare(self):
        totals = await self.agree()
        by_unit = await self.read_figures(self.county, True)
        answers = await all_of(self.read_figures(town, False) for town in self.towns)
        towns = {town.unit.code: self.totals(answer, town) for town, answer in zip(self.towns, answers)}
        self.counts.at_county = await self.arrived(self.county)
        self.counts.at_towns = sum(await all_of(self.arrived(town) for town in self.towns))
        self.counts.stage = tr("compared", "已核对")
        self.screen.settle()
        whole = len(self.stations) == WHOLE
        lines, good = comparison.table(self.figures, whole, self.expected, totals, self.totals(by_unit, self.county), towns)
        faults = comparison.towns_differ(self.figures, [town.unit for town in self.towns], by_unit, towns)
        for line in lines + faults + [""]:
            self.screen.say(line)
        good = good and not faults
        self.explain(whole, good)
        return good

    def explain(self, whole, good):
        say, counts = self.screen.say, self.counts
        if not whole:
            say(tr(f"Only {len(self.stations)} of {WHOLE} units have a station here: what these recorded is what the county must come to.",
                   f"此处 {WHOLE} 个单位中只有 {len(self.stations)} 个有站点：县级数值应等于这些站点所录入的。"))
        say(tr("Computed from records, but for inspection teams and member units, which are entered. N+ is recorded as N.\n"
               f"The {records.CHILDREN_BEFORE:,} children on file when 2023 begins and the visits of the last twelve weeks are ours: the "
               "account gives none.",
               "除督查小组和成员单位为填报外，均由记录计算；公布为“N 多”的按 N 录入。\n"
               f"2023 年初在册儿童 {records.CHILDREN_BEFORE:,} 人及最近十二周的探访为本项目所拟，公布材料未载。"))
        wrong = next((station.unit.name for station in self.stations if station.corrections), None)
        if wrong:
            say(tr(f"One lead that {wrong} had typed in as entered was corrected by a second revision: the figures count it as corrected.",
                   f"{wrong}误录为“纳入”的一条线索已由第二版更正：数值按更正后计。"))
        if good:
            say(tr(f"All {len(self.figures)} figures agree. Towns that agree with the county's row for them, and whose children on file changed by\n"
                   f"entered less left: {len(self.towns)} of {len(self.towns)}.",
                   f"全部 {len(self.figures)} 项一致。{len(self.towns)} 个乡镇和园区的答数均与县级所列一致，其在册儿童增减均等于纳入减退出。"))
        rate = counts.recorded / self.record_seconds
        say(tr(f"{counts.recorded:,} records kept and signed in {self.record_seconds:.1f} s ({rate:,.0f} a second), "
               f"the county's count at most {self.lag_max:.2f} s behind in {self.samples} samples.",
               f"{self.record_seconds:.1f} 秒内录入并签名 {counts.recorded:,} 条记录（每秒 {rate:,.0f} 条），"
               f"{self.samples} 次抽样中县级计数最多滞后 {self.lag_max:.2f} 秒。"))

    # -- verifying

    async def prove(self):
        proof = str(self.directory / "figure.proof")
        figure = next(figure for figure in self.figures if figure.id == ("leads" if self.villages else "activities"))
        made = await self.program.ask_json("prove", "-d", str(self.place(self.county)), "-i", figure.indicator, "--period", comparison.YEAR,
                                           "-o", proof)
        checked = await self.program.ask_json("verify", proof)
        good = checked["ok"] and checked["value"] == self.expected[figure.id]
        self.screen.say(tr(f"proof of {checked['value']:,} {figure.en}: {made['statements']:,} signed statements of {made['units']} units: ",
                           f"证明 {figure.zh} {checked['value']:,}：{made['units']} 个单位的 {made['statements']:,} 项签名统计：") +
                        (tr("it holds", "成立") if good else tr("WRONG", "有误")))
        return good

    async def verify(self, stations):
        async def one(station):
            status, out, err = await self.program.call("verify", str(self.place(station)), "--json")
            return station, status, out, err
        good, total = True, Counter()
        for station, status, out, err in await all_of(one(station) for station in stations):
            report = json.loads(out) if out.startswith("{") else {}
            if status != 0 or not report.get("ok"):
                good = False
                self.screen.say(tr("verify ", "核验 ") + f"{station.unit.code} {station.unit.name}: " + (err.strip() or out.strip()))
                for text in report.get("texts", [])[:5]:
                    self.screen.say("  " + text)
            for name in ("batches", "entries", "signatures", "views"):
                total[name] += report.get(name, 0)
        what = tr(f"verify: {len(stations)} stores, {total['batches']:,} batches, {total['entries']:,} entries, {total['signatures']:,} "
                  f"signatures, {total['views']:,} rows of views: ",
                  f"核验：{len(stations)} 个存储，{total['batches']:,} 批，{total['entries']:,} 条，{total['signatures']:,} 个签名，"
                  f"{total['views']:,} 行视图：")
        self.screen.say(what + (tr("all is as it was signed", "全部与签名一致") if good else tr("NOT ALL IS WELL", "存在问题")))
        return good

    async def run(self):
        """Builds, records, compares, verifies. Returns whether all is well."""
        watching = [asyncio.ensure_future(job) for job in (self.redraw(), self.watch_county(), self.watch_towns())]
        working = asyncio.ensure_future(self.work())
        try:
            done, _ = await asyncio.wait([working] + watching, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a watcher ends by its failure only
            good = working.result()
        finally:
            for task in watching + [working]:
                task.cancel()
            await asyncio.gather(*watching, working, return_exceptions=True)
        some = [self.county] + self.towns[:1] + self.villages[:1]
        good = await self.prove() and good
        self.well = await self.verify(some) and good
        return self.well

    async def work(self):
        await self.build()
        await self.record_all()
        return await self.compare()

    # -- and then

    def invite_the_newcomer(self):
        binary, place = self.options.binary, self.directory
        county, village = self.county.unit.code, self.villages[0] if self.villages else None
        say = self.screen.say
        memory = self.nodes.memory_bytes()
        say(tr(f"\n{len(self.nodes.processes)} nodes run, {memory >> 20} MiB in all. Ctrl-C stops them. In another terminal:\n",
               f"\n{len(self.nodes.processes)} 个节点正在运行，共占内存 {memory >> 20} MiB。Ctrl-C 全部停止。请在另一终端试用：\n"))
        say(f"  sanji() {{ {binary} \"$@\"; }}; D={place}")
        lines = [(f"sanji status -d $D/{county}", tr("the county: links, tiers, alarms", "县级：链路、层级、告警")),
                 (f"sanji units -d $D/{county}", tr("who has reported, and when", "各单位何时上报")),
                 (f"sanji figures -d $D/{county} -i leads --period 2023 --by unit,outcome", tr("leads by town", "各乡镇线索核查")),
                 (f"sanji figures -d $D/{county} -i children --period 2022-12..2023-12 --by period",
                  tr("children on file, month by month", "逐月在册儿童"))]
        if village:
            code, town = village.unit.code, village.unit.parent
            key = village.batches["file"][0]["key"]
            visit = f"""echo '{{"key": "{key}", "day": "'$(TZ=UTC-8 date +%F)'"}}' | sanji record visit -d $D/{code}"""
            lines += [(f"sanji prove -d $D/{county} -i leads --period 2023 --unit {town} -o $D/town.proof && sanji verify $D/town.proof",
                       tr("a figure with all signatures behind it", "出具并核验一个数值的证明")),
                      (visit, tr(f"one more visit in {village.unit.name}: watch it arrive here",
                                 f"在{village.unit.name}再录入一次探访，看它到达县级")),
                      (f"sanji stop -d $D/{town}; {visit}; sanji status -d $D/{code}",
                       tr(f"the town stops, the village works on: the visit arrives when the town is back, after {AGAIN_SECONDS} s",
                          f"乡镇站点停止，村照常工作：{AGAIN_SECONDS} 秒后乡镇恢复，探访随即到达县级"))]
        for command, what in lines:
            say(f"  # {what}\n  {command}")
        say()

    async def stay(self):
        """Says what arrives at the county, and starts again what was stopped, until a signal comes."""
        before, gone = None, {}
        indicators = list(expected.FLOWS) + list(expected.STOCKS)
        while True:
            reply = await self.program.ask_json("figures", "-d", str(self.place(self.county)), "-i", ",".join(indicators), "--period",
                                                f"{comparison.YEAR}-01..{self.today:%Y-%m}")
            now = {row["indicator"]: row["subtree"] or 0 for row in reply["rows"]}
            for indicator in indicators:
                if before and now[indicator] != before[indicator]:
                    self.tell(tr(f"at the county: {indicator} {before[indicator]:,} -> {now[indicator]:,}",
                                 f"县级：{indicator} {before[indicator]:,} -> {now[indicator]:,}"))
            before = now
            for directory in self.nodes.ended():
                if directory not in gone:
                    gone[directory] = time.monotonic()
                    self.tell(tr(f"the node of {directory.name} has ended; it starts again in {AGAIN_SECONDS} s",
                                 f"{directory.name} 的节点已停止；{AGAIN_SECONDS} 秒后重新启动"))
                elif time.monotonic() - gone[directory] > AGAIN_SECONDS:
                    del gone[directory]
                    await self.start_again(directory)
            await asyncio.sleep(POLL_SECONDS)

    async def start_again(self, directory):
        if answers(directory / "control.sock"):  # somebody else's process now, and not ours to stop
            del self.nodes.processes[directory]
            self.options.keep = True
            return
        await self.nodes.start(directory)
        self.tell(tr(f"the node of {directory.name} runs again", f"{directory.name} 的节点已重新运行"))

    def tell(self, text):
        self.screen.say(f"{time.strftime('%H:%M:%S')} {text}")

    def stop(self):
        count = len(self.nodes.processes)
        killed = self.nodes.stop()
        if count:
            forced = tr(f", {len(killed)} of them had to be killed", f"，其中 {len(killed)} 个被强制终止") if killed else ""
            self.screen.say(tr(f"{count} nodes stopped", f"{count} 个节点已停止") + forced)
        return not killed


async def work(county, options):
    """Returns whether all is well; nodes run on until county.stop()."""
    good = await county.run()
    if good and not options.once:
        county.invite_the_newcomer()
        await county.stay()
    return good


async def main(options):
    directory = (options.dir or default_directory(options.stations)).absolute()
    counts = Counts()
    screen = Screen(counts)
    if not os.access(options.binary, os.X_OK):
        raise Failure(tr(f"{options.binary} is not there: deploy/quickstart builds it",
                         f"没有 {options.binary}：请运行 deploy/quickstart 构建"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)
    with claim(directory, options.stations):
        county = County(options, directory, screen, counts)
        good = interrupted = False
        try:
            good = await work(county, options)
        except asyncio.CancelledError:
            interrupted = True
        except Failure as failure:
            screen.say(f"\n{failure}")
        finally:
            good = county.stop() and good
        if good:  # stay() ends by a signal only
            good = await county.verify(county.stations)
        if options.keep or not (good or interrupted):
            screen.say(tr(f"kept: {directory} (a log for each station in logs/)", f"已保留：{directory}（各站点日志在 logs/）"))
        else:
            shutil.rmtree(directory)
        screen.say(tr(f"{counts.seconds():.0f} s in all", f"共 {counts.seconds():.0f} 秒"))
    return 0 if good or (interrupted and county.well) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(arguments())))
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
