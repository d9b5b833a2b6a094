#!/usr/bin/env python3
"""Adds up the results of the suites (JUnit XML in a folder): names what failed, then "N passed, N failed" as the last line."""
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

passed = failed = 0
for path in sorted(Path(sys.argv[1]).glob("*.xml")):
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"FAILED {path.stem}: {case.get('classname', '')} {case.get('name')}")
        elif case.find("skipped") is None:
            passed += 1
if passed + failed == 0:
    print("no test ran")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or passed == 0 else 0)
