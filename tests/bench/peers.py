"""Other programs over the same three hops, in rounds with ours: records a second until the top has all of them.

Ours is the chain of chain.py with one origin: verified at each hop, flushed at each hop, summed at each hop. What the others do of that is
said in their names; none verifies a signature, none sums anything. A peer that is not installed is left out.
"""
import re
import time

import chain
from bench import interleaved, row, skipped, until
from herd import Waiting
from peer import Servers, mosquitto, nats, postgres

WHAT = "peers over the same three hops"
TARGETS = [*chain.TARGETS, "tests/bench/bench_peer_client"]

SIZE = 250   # bytes of a peer's record; ours are smaller, and signed
BATCH = 1000
# Of ours to theirs, in the same rounds.
LIMITS = {"PostgreSQL": 2, "NATS JetStream, 256 packed, ": 1}  # by how a name begins: the latter with each write flushed


def compared(name, mine, theirs):
    must = next((limit for begin, limit in LIMITS.items() if name.startswith(begin)), None)
    return row(f"ours, beside {name}", mine, "records/s", "more", theirs, must=must, of="ratio")


def ours(context, one):
    """Entries a second, from the village's link being live until the county's store has all of them."""
    village = one.village
    made = one.backlog(chain.ENTRIES)
    waiting = Waiting(context, one.top, -(-made["entries"] // BATCH))
    village.log.write_text("")
    village.run(wait=False)
    until(lambda: re.search(r"link parent \w+: live", village.log.read_text()), "the link is live")
    began = time.monotonic()
    ended = waiting.end()
    village.stop()
    return made["entries"] / (ended - began)


def run(context):
    work, absent, one = {}, {}, chain.One(context, BATCH)
    try:
        work["ours"] = lambda: ours(context, one)
        for peer in (nats, mosquitto, postgres):
            for name, how in peer.contenders(context, SIZE).items():
                (work if callable(how) else absent)[name] = how
        rates = interleaved(context, work)
    finally:
        Servers.stop_all()
        one.close()
    mine = rates.pop("ours")
    return [compared(name, mine, theirs) for name, theirs in rates.items()] + [skipped(name, why) for name, why in absent.items()]
