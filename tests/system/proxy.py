"""A line between a child and its parent that misbehaves as told: TCP, carried by us.

Faults of a direction (`line.up`: child to parent, `line.down`) may be set and taken back at any time, for all connections:

    hold        nothing is read or passed on: the sender sees a line that takes nothing (its bytes come when the hold ends)
    swallow     everything is read and thrown away: what comes afterwards does not fit what came before
    delay_s     each piece comes so much later
    rate        bytes a second
    dribble     one byte at a time
    duplicate   so many next pieces are passed on twice
    truncate    after so many bytes more the connection ends in the middle of what was being said

and of the line: cut() resets every connection, cut_every_s does so again and again, half_open() keeps all that is and takes all that comes
but carries nothing, refuse closes what comes at once.
"""
import select
import socket
import threading
import time
from collections import deque

from harness import free_address, place_of

PIECE = 16384         # bytes read at once
QUEUE_MAX = 256 * 1024  # bytes that a direction of a connection holds, as a router on the way would
TURN_S = 0.02         # a change of faults is noticed within it
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # SO_LINGER on, 0 s: closing resets


class Faults:
    def __init__(self):
        self.heal()
        self.passed = 0  # bytes, ever

    def heal(self):
        self.hold = self.swallow = self.dribble = False
        self.delay_s, self.rate, self.duplicate, self.truncate = 0, None, 0, None


class Flow:
    """One direction of one connection."""

    def __init__(self, source, sink, faults):
        self.source, self.sink, self.faults = source, sink, faults
        self.queue, self.queued = deque(), 0  # (when it may go, bytes)
        self.free_s = 0  # when the line is free for more, where it has a rate
        self.ended = False

    def reads(self):
        return not self.faults.hold and not self.ended and self.queued < QUEUE_MAX

    def writes(self, now):
        return not self.faults.hold and bool(self.queue) and self.queue[0][0] <= now and self.free_s <= now

    def read(self, now):
        """False: the connection must end."""
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            self.ended = True
        elif not self.faults.swallow:
            times = 1
            if self.faults.duplicate:
                self.faults.duplicate -= 1
                times = 2
            for _ in range(times):
                self.queue.append((now + self.faults.delay_s, data))
                self.queued += len(data)
        return True

    def write(self, now):
        due, data = self.queue.popleft()
        size = 1 if self.faults.dribble else min(len(data), max(1, self.faults.rate // 20)) if self.faults.rate else len(data)
        if self.faults.truncate is not None:
            size = min(size, self.faults.truncate)
        try:
            sent = self.sink.send(data[:size]) if size else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            self.queue.appendleft((due, data[sent:]))
        self.queued -= sent
        self.faults.passed += sent
        if self.faults.rate:
            self.free_s = max(now, self.free_s) + sent / self.faults.rate
        if self.faults.truncate is not None:
            self.faults.truncate -= sent
            return self.faults.truncate > 0
        return True


class Line:
    def __init__(self, target):
        self.target, self.address = place_of(target), free_address()
        self.up, self.down = Faults(), Faults()
        self.cut_every_s, self.refuse = None, False
        self.connections = 0  # taken, ever
        self.reset_next = self.over = False
        self.pairs = []
        self.server = socket.create_server(place_of(self.address), backlog=256)
        self.server.setblocking(False)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -- faults of the whole line

    def cut(self):
        self.reset_next = True

    def half_open(self):
        self.up.hold = self.down.hold = True

    def heal(self):
        self.up.heal()
        self.down.heal()
        self.cut_every_s, self.refuse = None, False

    @property
    def living(self):
        return len(self.pairs)

    def close(self):
        self.over = True
        self.thread.join()

    # -- the work

    def _accept(self):
        try:
            child, _ = self.server.accept()
        except OSError:
            return
        try:
            if self.refuse:
                raise OSError
            parent = socket.create_connection(self.target, 5)
        except OSError:
            self._reset([child])
            return
        for end in (child, parent):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.pairs.append((Flow(child, parent, self.up), Flow(parent, child, self.down)))

    @staticmethod
    def _reset(ends):
        for end in ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except OSError:
                pass
            end.close()

    def _end(self, pair, reset=True):
        self.pairs.remove(pair)
        if reset:
            self._reset((pair[0].source, pair[0].sink))
        else:
            pair[0].source.close()
            pair[0].sink.close()

    def _wait(self, now):
        """Sockets that are ready, by descriptor; and whether something else is due soon."""
        poll, soon = select.poll(), False
        poll.register(self.server, select.POLLIN)
        events = {}
        for pair in self.pairs:
            for flow in pair:
                if flow.reads():
                    events[flow.source.fileno()] = events.get(flow.source.fileno(), 0) | select.POLLIN
                if flow.writes(now):
                    events[flow.sink.fileno()] = events.get(flow.sink.fileno(), 0) | select.POLLOUT
                soon = soon or (bool(flow.queue) and not flow.faults.hold)
        for number, wanted in events.items():
            poll.register(number, wanted)
        return {number: found for number, found in poll.poll(1 if soon else 1000 * TURN_S)}

    def _serve(self, pair, ready, now):
        for flow in pair:
            if flow.reads() and ready.get(flow.source.fileno(), 0) and not flow.read(now):
                return self._end(pair)
            if flow.writes(now) and ready.get(flow.sink.fileno(), 0) & (select.POLLOUT | select.POLLERR | select.POLLHUP) and not flow.write(now):
                return self._end(pair, reset=flow.faults.truncate is None)
            if flow.ended and not flow.queue and not flow.faults.hold:
                return self._end(pair, reset=False)
        return None

    def _run(self):
        cut_at = 0
        while not self.over:
            now = time.monotonic()
            if self.cut_every_s and now >= cut_at:
                cut_at = now + self.cut_every_s
                self.reset_next = True
            if self.reset_next:
                self.reset_next = False
                for pair in list(self.pairs):
                    self._end(pair)
            ready = self._wait(now)
            now = time.monotonic()
            if ready.get(self.server.fileno()):
                self._accept()
            for pair in list(self.pairs):
                self._serve(pair, ready, now)
        for pair in list(self.pairs):
            self._end(pair)
        self.server.close()
