"""Reads data.mdb page by page, as it lies on disk, so that tests can damage what they mean to. LMDB 0.9, 64-bit little-endian."""
import struct
from collections import namedtuple

PAGE = 4096
BRANCH, LEAF, BIG, SUB = 1, 2, 1, 2
Row = namedtuple("Row", "table key offset size page")  # where its value lies in the file


class Pages:
    def __init__(self, path):
        self.path = path
        self.data = bytearray(path.read_bytes())
        metas = [self.data[at:at + PAGE] for at in (0, PAGE)]
        newest = max(metas, key=lambda meta: struct.unpack_from("<Q", meta, 144)[0])
        self.used = set()  # pages that the newest tree is made of
        self.rows = []
        self.roots = {"": struct.unpack_from("<Q", newest, 16 + 24 + 48 + 40)[0]}  # of the list of tables, and of each that has rows
        self.newest = 0 if newest == metas[0] else 1
        for _, key, offset, size, _ in self._walk("", self.roots[""]):
            root = struct.unpack_from("<Q", self.data, offset + 40)[0]
            if root < len(self.data) // PAGE:
                self.roots[key.decode()] = root
                self.rows += self._walk(key.decode(), root)

    def _walk(self, table, page):
        base = page * PAGE
        self.used.add(page)
        flags, lower = struct.unpack_from("<HH", self.data, base + 10)
        for at in range(16, lower, 2):
            node = base + struct.unpack_from("<H", self.data, base + at)[0]
            low, high, node_flags, key_size = struct.unpack_from("<HHHH", self.data, node)
            key = bytes(self.data[node + 8:node + 8 + key_size])
            if flags & BRANCH:
                yield from self._walk(table, low | high << 16 | node_flags << 32)
                continue
            offset, size = node + 8 + key_size, low | high << 16
            if node_flags & BIG:
                first = struct.unpack_from("<Q", self.data, offset)[0]
                self.used.update(range(first, first + (size + 16 + PAGE - 1) // PAGE))
                offset = first * PAGE + 16
            yield Row(table, key, offset, size, page)

    def table(self, name):
        return [row for row in self.rows if row.table == name]

    def flip(self, offset, bit=0):
        self.data[offset] ^= 1 << bit

    def rot(self, row, at=None):
        """One bit of a row's value; `at` counts from its end when negative."""
        at = row.size // 2 if at is None else at % row.size
        self.flip(row.offset + at, 3)

    def write(self):
        self.path.write_bytes(self.data)
