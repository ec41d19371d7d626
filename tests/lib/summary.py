#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the TAP lines that the suites left in a results folder; shows what failed; ends with "N passed, N failed"."""
import json
import pathlib
import re
import sys

PLAN = re.compile(r"^1\.\.(\d+)$", re.M)
TAP = re.compile(r"^(ok|not ok) \d+(?: - (.*))?$")


def count_tap(text, origin, failures):
    passed = failed = 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = TAP.match(line)
        if not match:
            continue
        if match[1] == "ok":
            passed += 1
        else:
            failed += 1
            why = []
            for line in lines[number + 1:]:
                if not line.startswith("#"):
                    break
                why.append("    " + line[1:].strip())
            failures.append("\n".join([f"{origin}: {match[2]}", *why]))
    plan = PLAN.search(text)
    if not plan or int(plan[1]) != passed + failed:
        failed += 1
        tail = "\n    ".join(lines[-40:])
        failures.append(f"{origin}: ended before its last case\n    {tail}")
    return passed, failed


def main(folder):
    passed = failed = 0
    failures = []
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        for line in path.read_text().splitlines():
            test = json.loads(line)
            stdout = test.get("stdout", "")
            if test["result"] == "OK" and not PLAN.search(stdout):
                ok, bad = 1, 0  # a program of one case: its exit code (libFuzzer)
            else:
                ok, bad = count_tap(stdout, test["name"], failures)
            if test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP") and bad == 0:
                bad = 1
                tail = (test.get("stderr") or test.get("stdout") or "").strip().splitlines()[-40:]
                failures.append(f"{test['name']}: {test['result']}\n    " + "\n    ".join(tail))
            passed += ok
            failed += bad
            print(f"{test['name']}: {ok} passed, {bad} failed, {test['duration']:.1f} s")
    for path in sorted(pathlib.Path(folder).glob("*.out")):
        if path.with_suffix(".json").exists():
            continue
        text = path.read_text()
        ok, bad = count_tap(text, path.stem, failures)
        print(f"{path.stem}: {ok} passed, {bad} failed")
        passed += ok
        failed += bad
    for failure in failures:
        print("FAILED", failure)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1]))
