"""Damage on disk: rotten rows come back from the neighbours, a broken tree is found before anything is read from it, and a store that is
cut short or wiped is refused and kept."""
import json
import os
import random
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from harness import SANJI, Network, check, comment, county, environment, equal, run, sanji, wait_for
from model import month_name, month_of, today
from pages import LEAF, PAGE, Pages

MONTH = month_name(month_of(today()))
LEAD = {"day": today().isoformat(), "source": "police", "outcome": "enter"}
UNITS = county(1, 2)
FLIPS = int(os.environ.get("SANJI_FLIPS", 400))
SEED = int(os.environ.get("SANJI_SEED", 20240615))


def data_of(station):
    return station.dir / "store/data.mdb"


def rot(station, table, *which, at=None):
    """Turns a bit in each of the rows `which` (indices) of a table; the station's node does not run."""
    pages = Pages(data_of(station))
    rows = pages.table(table)
    for index in which:
        pages.rot(rows[index], at)
    pages.write()
    return len(rows)


def chain(net):
    top, town = net.chain("C", "C1", leaf=False)
    village = net.join(town, "C1-001").run()
    for number in range(1, 6):
        village.record("lead", [LEAD] * number)
    wait_for(lambda: top.value("leads", MONTH) == 15, "15 leads at the county")
    wait_for(lambda: village.up()["backlog_rows"] == 0 and town.up()["backlog_rows"] == 0, "all is acknowledged")
    return top, town, village


def mended(station, number):
    def whole():
        status = station.status()
        return status["damaged_count"] == 0 and status["mended_count"] == number
    wait_for(whole, f"{number} rows of {station} are whole again")


def scrub(directory):
    result = sanji("scrub", directory, "--json", code=None, timeout=60)
    check(result.code in (0, 1), "scrub ended otherwise:", result)
    return result.json


def test_fault_10_a_rotten_row_comes_back_from_the_parent():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        batches = village.status()["journal_batches"]
        village.stop()
        rows = rot(village, "journal", 1, 2, 4, -1)  # two in a row, and the last
        found = scrub(village.dir)
        equal((found["damaged"], found["broken"], {row["table"] for row in found["found"]}), (4, False, {"journal"}), "the scrubber")
        check(village.verify(), "verify finds them, too")
        town.stop()
        village.run()
        status = village.status()
        equal((status["damaged_count"], len(status["damaged"]), status["state"]), (4, 4, "ready"), "in quarantine, and at work")
        check(all(row["since_ms"] and row["first"] and row["lane"] for row in status["damaged"]), "each says what it is", status["damaged"])
        equal(len([alarm for alarm in status["alarms"] if alarm["kind"] == "damaged"]), 4, "one alarm each")
        equal(village.value("leads", MONTH), 15, "figures stand")
        town.run()
        mended(village, 4)
        equal(village.status()["journal_batches"], batches, "nothing was signed anew")
        equal(len(Pages(data_of(village)).table("journal")), rows, "nor journaled")
        village.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 16, "it works on")


def test_fault_10_a_rotten_row_comes_back_from_the_child():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        town.stop()
        journal = Pages(data_of(town)).table("journal")
        rot(town, "journal", *range(len(journal)), at=-30)  # everything: its own, the county's and the village's
        town.run()
        village.run()
        mended(town, len(journal))
        equal(town.value("leads", MONTH), 15, "nothing counted twice")
        top.stop()
        rot(top, "journal", 2, -1)
        top.run()
        mended(top, 2)
        village.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 16, "it works on")


def test_fault_10_a_certificate_comes_back():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        top.stop()
        pages = Pages(data_of(top))
        objects = [index for index, row in enumerate(pages.table("objects")) if row.size < 1024]
        station = bytes.fromhex(village.status()["station"])
        of_village = [index for index in objects if station in pages.data[(row := pages.table("objects")[index]).offset:row.offset + row.size]]
        check(of_village, "the county has the village's certificate")
        rot(top, "objects", *of_village)
        top.run()
        equal(top.status()["damaged_count"], 0, "put back from its copy")
        check(not top.stop().verify(), "and all is whole")
        rot(top, "objects", *of_village)
        rot(top, "copies", *of_village)
        top.run()
        mended(top, len(of_village))
        village.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 16, "it works on")


def test_fault_10_a_row_that_nobody_holds_stops_nothing_else():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        town.stop()
        village.record("lead", LEAD)
        village.settled()
        village.stop()
        rot(village, "journal", -1)
        village.run()
        equal(village.status()["damaged_count"], 1, "in quarantine")
        town.run()
        wait_for(village.live, "the link")
        equal(village.value("leads", MONTH), 16, "its own figures are whole")
        other = net.join(town, "C1-002").run()
        other.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) >= 16, "others go on")
        status = village.status()
        equal((status["damaged_count"], status["state"]), (1, "ready"), "it stays, and is said")
        village.stop()
        equal(len(village.verify()) > 0, True, "verify says so")
        shutil.rmtree(village.dir)  # Network verifies what is there


def test_fault_10_rotten_views_are_made_again_from_the_journal():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        for station, tables in ((top, ("cells", "below", "groups", "heard", "complete", "cursors")), (village, ("records", "record_ids", "subjects", "cells"))):
            station.stop()
            wanted = station.figures("leads", MONTH, by="unit")["rows"]
            rows = {table: len(Pages(data_of(station)).table(table)) for table in tables}
            present = [table for table in tables if rows[table]]
            for table in present:
                rot(station, table, 0)
            check(scrub(station.dir)["damaged"] >= len(present), "found")
            station.run()
            check("sanji rebuild" in station.tail(), "and said", station.tail())
            answer = station.cli("figures", "-i", "leads", "-p", MONTH, "--by", "unit", "--json", code=None)
            check(answer.code == 1 or answer.json["rows"] == wanted, "refused, or right", answer)
            check("open" in station.cli("rebuild", code=1).err, "not under a running node")
            station.stop()
            station.cli("rebuild")
            check(not station.verify(), "all is whole")
            equal(station.figures("leads", MONTH, by="unit")["rows"], wanted, "and right")
            station.run()
        village.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 16, "it works on")


def test_trap_27_a_period_that_has_not_come_is_held():
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001")
        village.days = 400  # its clock
        month = month_name(month_of(today()) + 13)
        village.run()
        wait_for(village.live, "the link")
        village.record("lead", {**LEAD, "day": f"{month}-01"})
        wait_for(lambda: any(alarm["kind"] == "future-period" for alarm in top.alarms()), "the county says so")
        equal(top.value("leads", month), 0, "and does not count it")
        for station in (village, town, top):
            station.stop()
        for station in (town, top):
            check(not station.verify(), "verify agrees")
            station.days = 400
            station.run()
        wait_for(lambda: top.value("leads", month) == 1, "the time has come")
        village.run()
        wait_for(village.live, "the link")


def test_fault_10_58_a_held_row_that_is_rotten_when_its_month_comes():
    """Two months ahead in one batch, and a patch of the first; the township's row of the batch is damaged on the day that the first comes."""
    with Network(UNITS) as net:
        top, town = net.chain("C", "C1", leaf=False)
        village = net.join(town, "C1-001")
        village.days = 500  # its clock
        first, later = (month_name(month_of(today()) + ahead) for ahead in (13, 16))
        village.run()
        wait_for(village.live, "the link")
        village.record("lead", [{**LEAD, "day": f"{first}-01"}, {**LEAD, "day": f"{later}-01"}])
        village.record("lead", {**LEAD, "day": f"{first}-02"})
        wait_for(lambda: village.up()["backlog_rows"] == 0 and town.up()["backlog_rows"] == 0, "all is acknowledged")
        for station in (village, town, top):
            station.stop()
        pages = Pages(data_of(town))
        held = [index for index, row in enumerate(pages.table("journal"))
                if f"period {first}".encode() in pages.data[row.offset:row.offset + row.size]]
        check(len(held) > 1, "the township holds them", held)
        rot(town, "journal", held[0])
        town.days = top.days = 400
        for _ in range(2):  # also after another start
            town.run()
            equal((town.status()["damaged_count"], town.value("leads", first)), (1, 0), "the patch waits for the statement before it")
            town.stop()
        town.run()
        village.run()
        mended(town, 1)
        equal((town.value("leads", first), town.value("leads", later)), (2, 0), "taken up when it was whole, and the later month still held")
        top.run()
        wait_for(lambda: top.value("leads", first) == 2, "the county has them")
        equal(top.value("leads", later), 0, "of the first month")
        for station in (village, town, top):
            station.stop()
        for station in (town, top):
            check(not station.verify(), "verify agrees")
            station.cli("rebuild")
            check(not station.verify(), "and with what was made again")
            station.days = 500
            station.run()
        village.run()
        wait_for(lambda: top.value("leads", later) == 1 and town.value("leads", later) == 1, "the later month has come")
        equal(top.value("leads", first), 2, "and the first is as it was")


def test_fault_11_a_broken_tree_is_found_before_it_is_read():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        whole = data_of(village).read_bytes()
        journal_page = Pages(data_of(village)).table("journal")[0].page
        for what, at, value in (("the page's kind", 10, b"\xff\xff"), ("where its rows begin", 12, b"\xff\x0f"), ("a row's place", 16, b"\xfe\x0f"),
                                ("its rows", 12, struct.pack("<H", 16)), ("a row's key", None, b"\xff")):
            pages = Pages(data_of(village))
            offset = journal_page * PAGE + at if at else pages.table("journal")[0].offset - 8
            pages.data[offset:offset + len(value)] = value
            pages.write()
            damaged = data_of(village).read_bytes()
            found = scrub(village.dir)
            check(found["broken"] or found["damaged"], what, found)
            if found["broken"]:
                refused = village.cli("verify", code=1)
                check("Put a copy" in refused.err, what, refused)
                refused = sanji("run", village.dir, code=1)
                check("Put a copy" in refused.err, what, refused)
                equal(data_of(village).read_bytes(), damaged, f"{what}: kept as it is")
            data_of(village).write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def test_fault_11_bounds_of_a_page_are_found_before_anything_is_written():
    """LMDB reads such a page without trouble, and spoils rows when it writes to it."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        pages = Pages(data_of(village))
        whole, root = bytes(pages.data), pages.roots["journal"]
        for byte in range(12, 16):
            for bit in range(8):
                pages.data[:] = whole
                pages.flip(root * PAGE + byte, bit)
                pages.write()
                found = scrub(village.dir)
                check(found["broken"] and str(root) in found["how"] and "journal" in found["how"], "page", root, "byte", byte, "bit", bit, found)
        for verb in (["run", village.dir], ["status", "-d", village.dir], ["verify", village.dir], ["record", "-d", village.dir, "lead", "-f", "-"]):
            check("--salvage" in sanji(*verb, stdin=json.dumps([LEAD]), code=1).err, verb, "must say what to do")
        equal(data_of(village).read_bytes(), bytes(pages.data), "kept as it is")
        data_of(village).write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def test_fault_11_a_torn_root_page_gets_an_error_and_no_signal():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        pages = Pages(data_of(village))
        whole = bytes(pages.data)
        garbage = random.Random(SEED).randbytes(PAGE)
        verbs = (["status"], ["units"], ["figures", "-i", "leads", "-p", MONTH], ["receipts"], ["record", "lead", "-f", "-"])
        for page in sorted({0, 1, *pages.roots.values()}):
            for what, torn in (("half of it", whole[page * PAGE:page * PAGE + PAGE // 2] + garbage[:PAGE // 2]), ("zeros", bytes(PAGE)), ("garbage", garbage)):
                pages.data[:] = whole
                pages.data[page * PAGE:(page + 1) * PAGE] = torn
                if page < 2 and what == "half of it":
                    continue  # nothing of a meta page is there
                pages.write()
                for verb in verbs if what == "garbage" else verbs[:1]:
                    refused = sanji(verb[0], "-d", village.dir, *verb[1:], stdin=json.dumps([LEAD]), code=1)
                    check("--salvage" in refused.err, "page", page, what, refused)
                check(scrub(village.dir)["broken"], "page", page, what)
        data_of(village).write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def test_fault_11_an_older_state_does_not_pass_for_the_last():
    """Each of LMDB's two meta pages is one bit away from being the newer one; the other's commit would be gone."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        pages = Pages(data_of(village))
        whole, number = bytes(pages.data), struct.unpack_from("<Q", pages.data, pages.newest * PAGE + 144)[0]
        for claimed in (number + 1, number + 2, number + 3, number + 2 ** 40):
            pages.data[:] = whole
            struct.pack_into("<Q", pages.data, (1 - pages.newest) * PAGE + 144, claimed)
            pages.write()
            for verb in (["run", village.dir], ["status", "-d", village.dir], ["verify", village.dir]):
                check("--salvage" in sanji(*verb, code=1).err, claimed - number, verb)
            check(scrub(village.dir)["broken"], claimed - number)
        data_of(village).write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def test_fault_11_four_hundred_flips():
    """One bit of a station's store at a time, half of them in page headers and meta pages: found, or without effect; never a wrong figure, never a hang.
    SANJI_FLIPS and SANJI_SEED make it longer, and another."""
    with Network(UNITS) as net:
        top, town, village = chain(net)
        for station in (village, town, top):
            station.stop()
        wanted = top.figures("leads", MONTH, by="unit")["rows"]
        copy = net.dir / "copy"
        shutil.copytree(top.dir, copy, ignore=shutil.ignore_patterns("control.sock"))
        path, source = copy / "store/data.mdb", Pages(data_of(top))
        whole, used = bytes(source.data), sorted(source.used)
        marker = (copy / "marker").read_bytes()
        chance = random.Random(SEED)
        counts = {"no effect": 0, "found, figures right": 0, "found, figures refused": 0, "tree found broken": 0, "refused when opened": 0,
                  "taken for a copy put back": 0}
        for number in range(FLIPS):
            if number % 16 == 1:
                offset = chance.randrange(2) * PAGE + chance.randrange(160)  # a meta page
            elif number % 2:
                offset = chance.choice(used) * PAGE + chance.randrange(32)
            else:
                offset = chance.randrange(len(whole))
            bit = chance.randrange(8)
            data = bytearray(whole)
            data[offset] ^= 1 << bit
            path.write_bytes(data)
            (copy / "marker").write_bytes(marker)
            where = f"flip {number} of seed {SEED}: page {offset // PAGE}, byte {offset % PAGE}, bit {bit}"
            result = sanji("scrub", copy, "--json", code=None, timeout=60)
            check(result.code in (0, 1) and result.out.strip(), where, result)
            found = result.json
            if "error" in found:
                equal(found["error"]["code"], "ERR_VERSION", where)  # the number of the format itself
                counts["refused when opened"] += 1
                continue
            if found["broken"]:
                counts["tree found broken"] += 1
                continue
            asked = subprocess.run([SANJI, "figures", "-d", copy, "-i", "leads", "-p", MONTH, "--by", "unit", "--json"], capture_output=True,
                                   timeout=60, env=environment(), check=False)
            check(asked.returncode in (0, 1), where, "found:", found, "and then:", asked)
            if asked.returncode == 0 and json.loads(asked.stdout)["rows"] != wanted:
                # One bit makes the newest meta page the older one, as after a commit that failed: the marker beside the store knows better.
                equal(sanji("status", "-d", copy, "--json").json["state"], "read-only", f"{where}: {asked.stdout}, wanted {wanted}")
                counts["taken for a copy put back"] += 1
                continue
            check(asked.returncode == 0 or found["damaged"], where, "refused, and nothing was found:", asked)
            counts["no effect" if not found["damaged"] else "found, figures right" if asked.returncode == 0 else "found, figures refused"] += 1
        comment(counts)
        equal(sum(counts.values()), FLIPS, "each has one outcome")


def test_fault_9_a_store_cut_short_is_refused_and_kept():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        path = data_of(village)
        whole = path.read_bytes()
        for size in (max(Pages(path).used) * PAGE, len(whole) // 2, 3 * PAGE, PAGE, 100, 0):
            path.write_bytes(whole[:size])
            for verb in (["run", village.dir], ["status", "-d", village.dir], ["verify", village.dir], ["scrub", village.dir]):
                check("copy" in sanji(*verb, code=1).err, size, verb, "must say what to do")
            equal(path.read_bytes(), whole[:size], f"{size} bytes: kept as it is")
        path.write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def test_fault_12_a_wiped_store_is_not_taken_for_an_empty_one():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        village.stop()
        path = data_of(village)
        whole = path.read_bytes()
        for what, data in (("both meta pages zero", bytes(2 * PAGE) + whole[2 * PAGE:]), ("all zero", bytes(len(whole))),
                           ("both meta pages garbage", random.Random(1).randbytes(2 * PAGE) + whole[2 * PAGE:]), ("empty", b""), ("gone", None)):
            path.unlink() if data is None else path.write_bytes(data)
            refused = sanji("run", village.dir, code=1)
            check("kept" in refused.err or "data.mdb" in refused.err, what, refused)
            sanji("status", "-d", village.dir, code=1)
            sanji("verify", village.dir, code=1)
            token = town.invite("C1-002")[0]
            check("not empty" in sanji("join", village.dir, token, code=1).err, "no second enrolment over it")
            check("not empty" in sanji("init", village.dir, "--unit", "C", "--units", net.units, code=1).err, "nor a new station")
            equal(path.read_bytes() if path.exists() else None, data, f"{what}: kept as it is")
        path.write_bytes(whole)
        village.run()
        wait_for(village.live, "the whole one works")


def readers(station):
    """Transactions that the node holds open for reading, by LMDB's table of readers."""
    lock = (station.dir / "store/lock.mdb").read_bytes()
    slots = [struct.unpack_from("<QI", lock, at) for at in range(128, len(lock) - 63, 64)]
    return [txn for txn, pid in slots if pid == station.process.pid and txn != 2 ** 64 - 1]


def test_fault_16_a_client_that_does_not_read_holds_no_transaction():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        stalled = []
        for _ in range(4):
            client = socket.socket(socket.AF_UNIX)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect(f"{top.dir}/control.sock")
            client.sendall(b"\0\0")  # half a length, and nothing more
            stalled.append(client)
        for _ in range(20):
            village.record("lead", LEAD)
        wait_for(lambda: top.value("leads", MONTH) == 35, "everything goes on")
        wait_for(lambda: not readers(top), "no reading transaction stays open")
        for client in stalled:
            client.close()


def test_fault_16_verify_and_scrub_beside_a_node_that_writes():
    with Network(UNITS) as net:
        top, town, village = chain(net)
        with open(net.dir / "verify.out", "wb") as out:
            beside = [subprocess.Popen([SANJI, *verb], stdout=out, stderr=out, env=environment())
                      for verb in (["verify", top.dir], ["scrub", "--beside", top.dir])]
            for _ in range(10):
                village.record("lead", LEAD)
            codes = [process.wait(120) for process in beside]
        equal(codes, [0, 0], Path(net.dir / "verify.out").read_text(errors="replace"))
        wait_for(lambda: top.value("leads", MONTH) == 25, "everything goes on")


if __name__ == "__main__":
    check(LEAF == 2)
    run(test_fault_10_a_rotten_row_comes_back_from_the_parent, test_fault_10_a_rotten_row_comes_back_from_the_child,
        test_fault_10_a_certificate_comes_back, test_fault_10_a_row_that_nobody_holds_stops_nothing_else,
        test_fault_10_rotten_views_are_made_again_from_the_journal, test_trap_27_a_period_that_has_not_come_is_held,
         test_fault_10_58_a_held_row_that_is_rotten_when_its_month_comes,
        test_fault_11_a_broken_tree_is_found_before_it_is_read, test_fault_11_bounds_of_a_page_are_found_before_anything_is_written,
        test_fault_11_a_torn_root_page_gets_an_error_and_no_signal, test_fault_11_an_older_state_does_not_pass_for_the_last,
        test_fault_11_four_hundred_flips,
        test_fault_9_a_store_cut_short_is_refused_and_kept, test_fault_12_a_wiped_store_is_not_taken_for_an_empty_one,
        test_fault_16_a_client_that_does_not_read_holds_no_transaction, test_fault_16_verify_and_scrub_beside_a_node_that_writes)
