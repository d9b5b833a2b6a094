"""What the quickstart shows while it works: a few lines drawn anew four times a second on a terminal, one line now and then elsewhere."""
import os
import shutil
import sys
import time
import unicodedata

REDRAW_SECONDS = 0.25
PLAIN_SECONDS = 3.0  # between lines when nobody watches
BAR = 24


def chinese():
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return os.environ[name].startswith("zh")
    return False


CHINESE = chinese()


def tr(en, zh):
    return zh if CHINESE else en


def width(text):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def pad(text, columns, right=False):
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def cut(text, columns):
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept)


def bar(done, total):
    filled = BAR if total == 0 else min(BAR, done * BAR // total)
    return "█" * filled + "·" * (BAR - filled)


class Counts:
    """How far everything is; county.py writes it, Screen shows it."""

    def __init__(self):
        self.begun = time.monotonic()
        self.stage = ""
        self.tiers = []  # [name, stations running, stations wanted]
        self.recorded = self.records = 0
        self.at_towns = self.towns_expect = 0
        self.at_county = self.county_expects = 0
        self.statements = 0
        self.rate = 0.0
        self.lag = None  # seconds from "recorded" to "counted at the county"

    def seconds(self):
        return time.monotonic() - self.begun

    def lag_text(self):
        return "-" if self.lag is None else f"{self.lag:.2f} s"

    def lines(self):
        lines = [f"{tr('Sanji, 仪征市', 'Sanji 三级 · 仪征市')}  {self.seconds():.0f} s  {self.stage}", ""]
        for name, running, wanted in self.tiers:
            lines.append(f"{pad(name, 26)}{bar(running, wanted)} {running:>7,} / {wanted:,}")
        for name, done, total in ((tr("records kept and signed", "已录入并签名的记录"), self.recorded, self.records),
                                  (tr("counted at the towns", "乡镇已计入"), self.at_towns, self.towns_expect),
                                  (tr("counted at the county", "县级已计入"), self.at_county, self.county_expects)):
            lines.append(f"{pad(name, 26)}{bar(done, total)} {done:>7,} / {total:,}")
        lines.append(f"{pad(tr('entries in the county journal', '县级日志条目'), 30)}{self.statements:,}   "
                     f"{tr('records a second', '每秒记录')} {self.rate:,.0f}   {tr('lag', '滞后')} {self.lag_text()}")
        return lines

    def line(self):
        running = "/".join(str(tier[1]) for tier in self.tiers)
        return tr(f"{self.seconds():4.0f} s  {self.stage}: stations {running}, records {self.recorded:,} of {self.records:,}, "
                  f"at the towns {self.at_towns:,}, at the county {self.at_county:,} of {self.county_expects:,}, lag {self.lag_text()}",
                  f"{self.seconds():4.0f} s  {self.stage}：站点 {running}，记录 {self.recorded:,} / {self.records:,}，"
                  f"乡镇 {self.at_towns:,}，县级 {self.at_county:,} / {self.county_expects:,}，滞后 {self.lag_text()}")


class Screen:
    def __init__(self, counts):
        self.counts = counts
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.last_plain = float("-inf")

    def draw(self):
        if not self.live:
            if time.monotonic() - self.last_plain >= PLAIN_SECONDS:
                self.last_plain = time.monotonic()
                self.say_plain(self.counts.line())
            return
        columns = shutil.get_terminal_size().columns
        text = "".join(cut(line, columns - 1) + "\x1b[K\n" for line in self.counts.lines())
        sys.stdout.write((f"\x1b[{self.drawn}F" if self.drawn else "") + text)
        sys.stdout.flush()
        self.drawn = len(self.counts.lines())

    def say_plain(self, text):
        print(text, flush=True)

    def say(self, text=""):
        """Text that stays; the moving lines go on below it."""
        if self.live and self.drawn:
            sys.stdout.write(f"\x1b[{self.drawn}F\x1b[J")
            self.drawn = 0
        self.say_plain(text)

    def settle(self):
        """Leaves the moving lines as they are; what follows goes below."""
        if self.live:
            self.draw()
            self.drawn = 0
            print()
