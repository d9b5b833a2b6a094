"""Peers that send too much, too slowly, or nonsense; with and without the keys of an enrolled station. Nothing they do costs memory,
processor or room that others need, and the links of the others go on."""
import os
import re
import resource
import select
import socket
import struct
import time

from harness import Failed, Network, check, comment, county, equal, place_of, run, wait_for
from ledger import MONTH, lead
from zmtp import COMMAND, LONG, Peer, frame, greeting, keypair

TREE = county(1, 3)
MIB = 1024 * 1024
MEMORY_MAX = 192 * MIB  # what a flood may take for a while: the bounds of the transport, and what malloc() keeps of it
SHARE_MAX = 0.5         # of one processor, of a node that is only pestered


def anon(station):
    """Bytes of the process's own memory: RssAnon."""
    for row in open(f"/proc/{station.process.pid}/status", encoding="ascii"):
        if row.startswith("RssAnon"):
            return int(row.split()[1]) * 1024
    return 0


def cpu(station):
    """Seconds of processor time the process has used."""
    fields = open(f"/proc/{station.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(station, seconds=1.5):
    """Which part of one processor it uses, over a while of nothing else."""
    used, began = cpu(station), time.monotonic()
    wait_for(lambda: time.monotonic() - began >= seconds, "a while")
    return (cpu(station) - used) / (time.monotonic() - began)


def keys_of(station):
    lines = (station.dir / "keys/transport.key").read_text().split("\n")
    return bytes.fromhex(lines[1]), bytes.fromhex(lines[2])


class Scene:
    """A township with two villages that live, and one, enrolled, whose keys somebody else uses."""

    def __init__(self, net, limit=None):
        self.net = net
        self.top, self.town = net.chain("C", "C1", leaf=False)
        if limit:
            self.town.stop()
            self.town.limits = {resource.RLIMIT_NOFILE: limit}
            self.town.run()
            wait_for(self.town.live, "the link up")
        self.village, self.other = (net.join(self.town, unit).run() for unit in ("C1-001", "C1-002"))
        self.stolen = net.join(self.town, "C1-003")
        self.keys, self.server = keys_of(self.stolen), keys_of(self.town)[0]
        wait_for(lambda: self.village.live() and self.other.live(), "links")
        self.goes_on()
        self.memory = anon(self.town)
        self.peak = self.memory

    def peer(self, keys=True, address=None, **more):
        return Peer(address or self.town.listen, self.server, self.keys if keys is True else keys, **more)

    def bounded(self):
        self.peak = max(self.peak, anon(self.town))
        check(self.peak - self.memory < MEMORY_MAX, "memory:", self.memory, "then", self.peak)
        return True

    def goes_on(self):
        """A record of a living village arrives, over the link that it has."""
        self.village.record("lead", lead("police"))
        number = self.village.value("leads", MONTH)
        wait_for(lambda: self.top.value("leads", MONTH) >= number, "the others go on")

    def same_links(self):
        equal(self.village.tail(10 ** 6).count("live"), 1, "the living village's link was never cut")


def pour(peer, scene, data, most, what):
    """Sends `data` again and again until the other end hangs up; it must before `most` bytes. Returns what was sent."""
    sent, looked = 0, 0
    try:
        while sent < most:
            peer.raw(data if isinstance(data, bytes) else data())
            sent += len(data) if isinstance(data, bytes) else peer.size
            if sent - looked > 8 * MIB:
                looked = sent
                scene.bounded()
    except OSError:
        scene.bounded()
        return sent
    raise Failed(f"{what}: {sent:,} bytes were taken")


# ---- 43: large things

def fault_43_a_frame_of_10_gb():
    """From nobody: at once, after a greeting, in a handshake; from an enrolled peer: after it. The line is cut at the claim."""
    claim = struct.pack(">Q", 10 * 1024 ** 3)
    with Network(TREE) as net:
        scene = Scene(net)
        for address in (scene.town.listen, scene.town.enrol):
            for start in (b"", greeting(), greeting() + bytes([LONG]) + claim, greeting() + bytes([COMMAND | LONG]) + claim):
                peer = scene.peer(None, address)
                if start:
                    peer.raw(start)
                pour(peer, scene, b"\x00" * 65536, 64 * MIB, f"{start[64:]!r} from nobody")
                peer.close()
        for keys, address in ((True, scene.town.listen), (None, scene.town.enrol)):
            for flags in (LONG, LONG | 1, LONG | COMMAND):
                peer = scene.peer(keys, address).shake()
                peer.raw(bytes([flags]) + claim)
                pour(peer, scene, b"\x07MESSAGE" + b"\x00" * 65528, 64 * MIB, f"a frame with flags {flags}")
                peer.close()
        scene.goes_on()
        scene.same_links()


def fault_43_a_message_without_end():
    """Parts without number, never the last one, from a station enrolled here: it is cut off, and the others do not notice."""
    with Network(TREE) as net:
        scene = Scene(net)
        for size in (30, 30000):
            peer = scene.peer().shake()
            part = b"\x55" * size
            count = max(1, MIB // (size + 64))

            def parts():
                data = b"".join(peer.packed(part, more=True) for _ in range(count))
                peer.size = len(data)
                return data
            sent = pour(peer, scene, parts, 1024 * MIB, f"parts of {size} bytes")
            comment(f"parts of {size} bytes: cut after {sent / MIB:.0f} MiB; memory {scene.memory / MIB:.0f} MiB, at most {scene.peak / MIB:.0f}")
            peer.close()
        stranger = scene.peer(None, scene.town.enrol).shake()  # the same of anybody, where stations enrol
        part = stranger.packed(b"\x55" * 30000, more=True)
        stranger.size = 32 * len(part)
        sent = pour(stranger, scene, lambda: b"".join(stranger.packed(b"\x55" * 30000, more=True) for _ in range(32)), 1024 * MIB, "a joiner")
        comment(f"a stranger on the join endpoint: cut after {sent / MIB:.0f} MiB")
        scene.goes_on()
        scene.same_links()


# ---- 44 to 46: what a decoder must not choke on

def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, data):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def nested(depth):
    data = b""
    while depth:
        data, depth = field(2, data), depth - 1
    return data


def long_varint(number):
    """Not the shortest form."""
    return bytes([number & 127 | 128, 128, 128, 0])


SESSION = b"\x09" + struct.pack("<Q", 7)
NONSENSE = {
    44: [SESSION + field(2, field(9, b"") * 10000),            # a hello of 10,000 empty marks: 81 times as much once unpacked
         SESSION + field(3, field(3, b"") * 15000),             # as many empty heads
         SESSION + field(4, b"\x00" * 30000), b"\x10\x01" * 15000],
    45: [nested(9000), SESSION + nested(5000), field(6, nested(3000))],
    46: [SESSION + SESSION + field(6, b"\x08\x01"),            # a field twice
         SESSION + field(6, b"\x08" + long_varint(1)),          # an overlong number
         SESSION + field(6, b"\x08\x01") + field(99, b"x"),     # a field that there is not
         field(6, b"\x08\x01") + SESSION,                      # out of order
         SESSION + field(6, b"\x08\x01") + field(7, b""),       # two members of one choice
         SESSION, b"", b"\xff" * 20, SESSION + field(7, field(4, b"\xff\xfe"))],
}


def nonsense(row):
    """An enrolled peer says it on a connection of its own each time; it is refused, costs nothing, and the others go on."""
    with Network(TREE) as net:
        scene = Scene(net)
        before = scene.town.status()["journal_batches"]
        for message in NONSENSE[row]:
            peer = scene.peer().shake()
            for _ in range(20):
                peer.say(message)
            scene.bounded()
            peer.message(b"", b"", b"")  # three frames: of another shape
            peer.message(message)        # without its size
            peer.say(message, b"\x00" * 30000)
            peer.close()
        scene.goes_on()
        check(scene.town.alive, "it lives")
        check(scene.peak - scene.memory < 32 * MIB, "memory", scene.memory, scene.peak)
        number = scene.village.value("leads", MONTH)
        equal(scene.town.value("leads", MONTH), number, "figures hold what was recorded and nothing else")
        check(scene.town.status()["journal_batches"] - before < 20, "nothing of it was kept")
        scene.same_links()
        kinds = {alarm["kind"] for alarm in scene.town.alarms()}
        check(kinds <= {"protocol"}, "alarms", kinds)
        check(scene.town.tail(10 ** 6).count("\n") < 200, "the log stays short")


def fault_44_amplifying_messages_of_an_enrolled_peer():
    nonsense(44)


def fault_45_deeply_nested_messages_of_an_enrolled_peer():
    nonsense(45)


def fault_46_messages_that_are_not_canonical_of_an_enrolled_peer():
    nonsense(46)


# ---- 51, 65: many, and slow ones

def idle_connects(address, number):
    links = []
    for _ in range(number):
        link = socket.socket()
        link.setblocking(False)
        link.connect_ex(place_of(address))
        links.append(link)
    return links


def ended(links, seconds=60):
    """Waits until the other end has closed all of them."""
    left = {link.fileno(): link for link in links}

    def all_over():
        poll = select.poll()
        for number in left:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(50):
            try:
                if left[number].recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            left.pop(number).close()
        return not left
    wait_for(all_over, "all of them are closed", seconds)


def fault_51_two_thousand_idle_connections():
    """They cost nothing while they stand, and are gone after the handshake's time; links go on and new ones come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with Network(TREE) as net:
        scene = Scene(net)
        links = idle_connects(scene.town.listen, 1000) + idle_connects(scene.town.enrol, 1000)
        scene.goes_on()
        used = share(scene.town)
        check(used < SHARE_MAX, "of a processor, with 2,000 idle connections:", used)
        scene.bounded()
        ended(links)
        scene.goes_on()
        scene.same_links()
        scene.stolen.run()
        wait_for(scene.stolen.live, "a new link")
        comment(f"{used:.3f} of a processor with 2,000 idle connections; {(scene.peak - scene.memory) / MIB:.0f} MiB")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def fault_51_slow_handshakes():
    """A byte at a time, on both endpoints: the handshake's time is for all of it, not from byte to byte."""
    with Network(TREE) as net:
        scene = Scene(net)
        links = []
        for address in (scene.town.listen, scene.town.enrol):
            for _ in range(20):
                links.append(socket.create_connection(place_of(address), 10))
        data, at = greeting() + frame(COMMAND, b"\x05HELLO\x01\x00" + b"\x00" * 192), 0
        began = time.monotonic()

        def drip():
            nonlocal links, at
            for link in list(links):
                try:
                    link.setblocking(False)
                    link.send(data[at:at + 1] or b"\x00")
                    while link.recv(4096):
                        pass
                    raise ConnectionError
                except BlockingIOError:
                    pass
                except OSError:
                    link.close()
                    links.remove(link)
            at += 1
            return not links
        wait_for(drip, "all of them are closed")
        comment(f"the last one was closed after {time.monotonic() - began:.1f} s, {at} bytes")
        scene.goes_on()
        scene.same_links()


def fault_51_who_joins_and_stays():
    """Anyone may shake hands on the join endpoint. Who then says nothing, or nonsense, or never ends, is gone with the lease at the latest."""
    with Network(TREE) as net:
        scene = Scene(net)
        silent = [scene.peer(None, scene.town.enrol).shake() for _ in range(30)]
        talker = scene.peer(None, scene.town.enrol).shake()
        for _ in range(200):
            talker.say(b"\xff" * 1000)
            talker.say(os.urandom(30000), os.urandom(100))
        scene.goes_on()
        check(share(scene.town) < SHARE_MAX, "it rests")
        equal(len(scene.town.status()["links"]), 4, "nobody was enrolled")
        ended([peer.link for peer in silent], 45)
        scene.bounded()
        scene.same_links()


# ---- 52, 53: who is who

def fault_52_an_unknown_key():
    with Network(TREE) as net:
        scene = Scene(net)
        for _ in range(100):
            peer = scene.peer(None)
            try:
                peer.shake()
                raise Failed("an unknown key was let in")
            except (ConnectionError, Failed) as failed:
                check("let in" not in str(failed), failed)
            peer.close()
        false = scene.peer((keypair()[0], scene.keys[1]))  # says one key, holds another's secret
        try:
            false.shake()
            raise Failed("a key was believed without its secret")
        except (ConnectionError, Failed) as failed:
            check("believed" not in str(failed), failed)
        check(scene.town.tail(10 ** 6).count("\n") < 100, "the log stays short")
        scene.goes_on()
        scene.same_links()


def fault_53_a_routing_id_of_ones_own():
    """A peer names itself as another connection is named, or squats on names: what is believed is its key, and the name is not heard."""
    with Network(TREE) as net:
        scene = Scene(net)
        names = [b"\x00" + bytes(4), b"C1-001", b"\x00\x80\x00\x41\xa7", os.urandom(255)] + [os.urandom(5) for _ in range(20)]
        squatters = []
        for name in names:
            for keys in (scene.keys, keys_of(scene.other)):
                try:
                    squatters.append(scene.peer(keys, metadata={b"Socket-Type": b"DEALER", b"Identity": name}).shake())
                except ConnectionError:
                    pass  # refused is as good
        ping = SESSION + field(6, b"\x08\x01")
        for peer in squatters:
            try:
                peer.say(ping)
            except OSError:
                pass
        scene.goes_on()
        scene.other.record("lead", lead("police"))
        wait_for(lambda: scene.top.value("leads", MONTH, "C1-002") == 1, "the one whose name was taken goes on")
        scene.stolen.run()
        wait_for(scene.stolen.live, "and the one whose key they hold")
        scene.same_links()


# ---- 14: descriptors

def descriptors(station):
    return len(os.listdir(f"/proc/{station.process.pid}/fd"))


def few_descriptors(limit):
    with Network(TREE) as net:
        scene = Scene(net, limit)
        check(share(scene.town) < SHARE_MAX, "at rest")
        links = idle_connects(scene.town.listen, 200) + idle_connects(scene.town.enrol, 50)
        scene.goes_on()
        used = share(scene.town)
        check(used < SHARE_MAX, "of a processor, without descriptors:", used)
        keep = min(max(limit // 16, 4), 64)  # listener.c
        wait_for(lambda: descriptors(scene.town) <= limit - keep, "room is kept, whoever holds on to a connection")
        scene.town.status()
        scene.goes_on()
        scene.same_links()
        check(scene.town.alive, "it lives")
        for link in links:
            link.close()
        scene.stolen.run()
        wait_for(scene.stolen.live, "a new link, when there is room again", 90)
        comment(f"{used:.3f} of a processor with {limit} descriptors and 250 callers")


def fault_14_a_hundred_descriptors():
    few_descriptors(100)


def fault_14_sixty_descriptors():
    few_descriptors(60)


run(*[test for name, test in sorted(globals().items()) if re.match(r"fault_\d", name)])
