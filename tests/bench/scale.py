"""Whether a record costs the same in a large store as in a small one: a province of 50,000 units, five tiers deep, receives 10^5, 10^6 and
10^7 visits, 100 a batch, of stations that lie all over the tree."""
import json
import statistics

from bench import network, rss_anon, row, store_bytes, timed_start

WHAT = "cost per record, memory, store and start at 10^5, 10^6 and 10^7 records; 50,000 units, depth 5"
TARGETS = ["tests/bench/bench_fill"]
BATCH, MONTHS = 100, 4
SIZES = {"10^5": 100_000, "10^6": 1_000_000, "10^7": 10_000_000}
LAST = 10  # windows of 100,000 records that tell what a record costs at that size


def tree():
    """50,000 units: a province, 10 prefectures, 100 counties, 1,500 townships, and their villages."""
    rows = [("P", "省", "province", "")]
    townships = []
    for prefecture in range(10):
        rows.append((f"P{prefecture}", f"市{prefecture}", "prefecture", "P"))
        for at in range(10):
            county = f"P{prefecture}{at}"
            rows.append((county, f"县{prefecture}{at}", "county", f"P{prefecture}"))
            townships += [(f"{county}-{town:02}", f"镇{town}", "township", county) for town in range(15)]
    rows += townships
    villages = 50_000 - len(rows)
    rows += [(f"{townships[at % len(townships)][0]}{at // len(townships):02}", f"村{at}", "village", townships[at % len(townships)][0])
             for at in range(villages)]
    return rows


def measure(context, size):
    """One store, filled from nothing, started once."""
    with network(tree()) as net:
        top = net.init("P")
        filled = json.loads(context.call(context.tool("fill"), top.dir, size, BATCH, MONTHS, "blocks", timeout=1200))
        windows = filled["windows"][-LAST:]
        start_ms = timed_start(top)
        found = {"us": statistics.median(window["us"] for window in windows), "cpu_us": statistics.median(window["cpu_us"] for window in windows),
                 "check_us": statistics.median(window["check_us"] for window in windows),
                 "whole_us": 1e6 * (filled["check_s"] + filled["apply_s"]) / filled["events"], "start_ms": start_ms,
                 "anon": rss_anon(top.process.pid), "store": store_bytes(top.dir / "store"), "stations": filled["stations"],
                 "station_us": 1e6 * filled["enrol_s"] / filled["stations"]}
        context.say(f"{size:,} records: {found['us']:.2f} us each ({found['cpu_us']:.2f} of a processor), store {found['store'] >> 20} MiB, "
                    f"start {start_ms:.0f} ms")
        return found


def run(context):
    found = {name: [] for name in SIZES}
    sizes = {name: size for name, size in SIZES.items() if not ("million" in context.options and size > 1_000_000)}
    for _ in range(context.rounds):  # the smallest store takes a second: its rounds say how much the machine drifts
        found["10^5"].append(measure(context, SIZES["10^5"]))
    for name in list(sizes)[1:]:
        found[name].append(measure(context, sizes[name]))
    found["10^5"].append(measure(context, SIZES["10^5"]))  # and once more: the machine before and after the large one
    largest = list(sizes)[-1]

    def of(name, key):
        return [round_[key] for round_ in found[name]]
    base, base_cpu = statistics.median(of("10^5", "us")), statistics.median(of("10^5", "cpu_us"))
    limits = {"must": 1.3, "aim": 1.1} if largest == "10^7" else {}
    rows = [row(f"cost per record at {largest} over 10^5", of(largest, "us")[0] / base, "", "less", **limits),
            row(f"processor time per record at {largest} over 10^5", of(largest, "cpu_us")[0] / base_cpu, "", "less")]
    for name, size in sizes.items():
        rows += [row(f"{name}: check, append and apply", of(name, "us"), "us/record", "less", check_us=of(name, "check_us"), cpu_us=of(name, "cpu_us"),
                     whole_us=of(name, "whole_us"), stations=of(name, "stations")[0], station_us=of(name, "station_us")),
                 row(f"{name}: store", of(name, "store")[-1] / size, "B/record", "less", bytes=of(name, "store")[-1]),
                 row(f"{name}: start to serving", of(name, "start_ms"), "ms", "less"),
                 row(f"{name}: RssAnon of the node", [value / (1 << 20) for value in of(name, "anon")], "MiB", "less")]
    context.note(f"Cost: of the last {LAST} times 100,000 records of that size, durable, on one thread. Half of all batches are their station's first; "
                 "the introduction of stations is not counted.")
    if largest != "10^7":
        context.note("10^7 was left out (--with million).")
    return rows
