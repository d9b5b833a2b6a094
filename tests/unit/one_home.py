#!/usr/bin/env python3
"""one_home.py [ROOT]: each third-party header has one home, and includes go one way: schema <- relay <- node. TAP output."""
import os
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
# Headers of a library count together: one file names the library.
LIBRARIES = {
    "ZeroMQ": r"zmq(_utils)?\.h",
    "LMDB": r"lmdb\.h",
    "libsodium": r"sodium(/.*)?\.h",
    "protobuf-c": r"(google/)?protobuf-c(/.*)?\.h",
    "libyaml": r"yaml\.h",
    "libcyaml": r"cyaml(/.*)?\.h",
    "jansson": r"jansson(_config)?\.h",
    "libmicrohttpd": r"microhttpd\.h",
    "libqrencode": r"qrencode\.h",
    "SQLite": r"sqlite3\.h",
    "libpq": r"libpq-fe\.h",
    "zlib": r"zlib\.h",
}
C_LIBRARY = {
    "assert.h", "complex.h", "ctype.h", "errno.h", "fenv.h", "float.h", "inttypes.h", "iso646.h", "limits.h", "locale.h", "math.h", "setjmp.h",
    "signal.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h",
    "tgmath.h", "threads.h", "time.h", "uchar.h", "wchar.h", "wctype.h",
    "arpa/inet.h", "dirent.h", "fcntl.h", "fnmatch.h", "getopt.h", "glob.h", "grp.h", "ifaddrs.h", "libgen.h", "net/if.h", "netdb.h", "netinet/in.h",
    "netinet/tcp.h", "poll.h", "pthread.h", "pwd.h", "sched.h", "strings.h", "syslog.h", "termios.h", "spawn.h", "unistd.h", "endian.h", "langinfo.h", "execinfo.h",
}
SYSTEM = re.compile(r"^(sys|linux)/")
CORE_MAY = {"relay/types.h", "relay/limits.h", "relay/bytes.h"}
CORE_MAY_C = {"assert.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}


def sources(root):
    for folder in ("relay", "node"):
        for path, folders, files in os.walk(os.path.join(root, folder)):
            folders.sort()
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    full = os.path.join(path, name)
                    with open(full, encoding="utf-8") as file:
                        yield os.path.relpath(full, root), INCLUDE.findall(file.read())


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    homes, unknown, upward, core, seen = {}, [], [], [], 0
    for path, includes in sources(root):
        seen += 1
        for mark, header in includes:
            library = next((name for name, pattern in LIBRARIES.items() if re.fullmatch(pattern, header)), None)
            if library:
                homes.setdefault(library, set()).add(path)
            elif mark == "<" and header not in C_LIBRARY and not SYSTEM.match(header):
                unknown.append(f"{path}: <{header}> is of no library that this test knows")
            if path.startswith("relay/") and header.startswith(("node/", "deploy/", "tests/")):
                upward.append(f"{path}: {header}")
            if path.startswith("node/") and header.startswith(("deploy/", "tests/")):
                upward.append(f"{path}: {header}")
            if path.startswith("relay/core/") and not (header.startswith("relay/core/") or header in CORE_MAY or header in CORE_MAY_C):
                core.append(f"{path}: {header}")
    checks = [("there are sources to look at", [] if seen > 20 else [f"only {seen} files under {root}"])]
    for library in sorted(LIBRARIES):
        files = sorted(homes.get(library, ()))
        checks.append((f"{library} has one home at most", files if len(files) > 1 else []))
    checks += [("every other header is of the C library or the system", unknown),
               ("includes go one way: schema <- relay <- node", upward),
               ("the core includes the core, types, limits and bytes only", core)]
    print(f"1..{len(checks)}")
    failed = False
    for number, (name, findings) in enumerate(checks, 1):
        print(f"{'not ok' if findings else 'ok'} {number} - {name}")
        for finding in findings:
            print(f"# {finding}")
        failed |= bool(findings)
    sys.exit(failed)


main()
