#!/usr/bin/env python3
"""purity.py ARCHIVE: the core calls nothing outside itself but the memory functions and assert. TAP output."""
import re
import subprocess
import sys

# memory, assertions, and what compilers put in by themselves
ALLOWED = {
    "memcpy", "memset", "memcmp", "memmove", "bcmp",
    "__memcpy_chk", "__memset_chk", "__memmove_chk",
    "__assert_fail", "__stack_chk_fail", "__stack_chk_guard", "_GLOBAL_OFFSET_TABLE_",
}
# sanitizers, coverage and profiling
INSTRUMENTED = re.compile(r"^(__asan_|__ubsan_|__msan_|__tsan_|__sanitizer_|__gcov_|__llvm_|__start___llvm|__stop___llvm|__lsan_)")


def symbols(archive, option):
    text = subprocess.run(["nm", option, "--no-sort", archive], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in text.splitlines() if line.strip() and not line.endswith(":")]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: purity.py ARCHIVE")
    defined = {parts[-1] for parts in symbols(sys.argv[1], "--defined-only") if parts[-2].isupper()}
    wanted = {parts[-1] for parts in symbols(sys.argv[1], "--undefined-only")}
    foreign = sorted(name for name in wanted - defined - ALLOWED if not INSTRUMENTED.match(name))
    # writable data would be state outside the caller's memory (sanitizers and coverage bring their own)
    data = sorted(parts[-1] for parts in symbols(sys.argv[1], "--defined-only")
                  if parts[-2] in "bBdDC" and not re.match(r"^(__|\.L|_|\.)", parts[-1]) and "gcov" not in parts[-1] and "lubsan" not in parts[-1].lower())
    checks = [("it is the core", [] if {"core_step", "core_init", "feed_admit"} <= defined else ["core_step, core_init or feed_admit is missing"]),
              ("it calls nothing but memory functions and assert", foreign),
              ("it has no variables of its own", data)]
    print(f"1..{len(checks)}")
    failed = False
    for number, (name, findings) in enumerate(checks, 1):
        print(f"{'not ok' if findings else 'ok'} {number} - {name}")
        for finding in findings:
            print(f"# {finding}")
        failed |= bool(findings)
    sys.exit(failed)


main()
