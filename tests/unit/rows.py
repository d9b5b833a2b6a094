#!/usr/bin/env python3
"""rows.py [ROOT]: the table of faults in tests/README.md names, for every row that must be survived, tests that exist and carry the row's
number (fault_22_..., fault_23_24_..., fault_54_to_57_...); a name may end in *. TAP output."""
import fnmatch
import os
import re
import sys

MUST = set(range(1, 30)) | {33, 35, 36, 38} | set(range(42, 59))
TABLE = re.compile(r"^\|\s*(\d+)\s*\|([^|]*)\|([^|]*)\|([^|]*)\|\s*$")
NAMED = re.compile(r"`(fault_[a-z0-9_]+\*?)`")
TEST = re.compile(r"(?<![a-z0-9])fault_[0-9]+_[a-z0-9_]+")


def carried(name):
    """The rows that a test's name carries."""
    rows = set()
    words = name.split("_")[1:]
    while words and words[0].isdigit():
        first = last = int(words.pop(0))
        if len(words) > 1 and words[0] == "to" and words[1].isdigit():
            last = int(words[1])
            words = words[2:]
        rows |= set(range(first, last + 1))
    return rows


def tests(root):
    """Names of tests in the sources: not in documents, which could name what is not there."""
    names = set()
    for path, folders, files in os.walk(os.path.join(root, "tests")):
        folders[:] = sorted(set(folders) - {"__pycache__", "corpus", "data"})
        for name in files:
            if name.endswith((".c", ".py")) and name != os.path.basename(__file__):
                with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
                    names |= set(TEST.findall(file.read()))
    return names


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    known, problems, proven = tests(root), [], set()
    with open(os.path.join(root, "tests", "README.md"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = TABLE.match(line)
            if not match:
                continue
            row = int(match.group(1))
            for name in NAMED.findall(match.group(3)):
                if not fnmatch.filter(known, name):
                    problems.append(f"tests/README.md:{number}: no test is named {name}")
                elif row not in carried(name):
                    problems.append(f"tests/README.md:{number}: {name} does not carry row {row}")
                else:
                    proven.add(row)
    problems += [f"tests/README.md: row {row} has no test" for row in sorted(MUST - proven)]
    print("1..1")
    for problem in problems:
        print("# " + problem)
    print(("not ok" if problems else "ok") + " 1 - every row of the list of faults has tests that exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
