#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of the tree that a compiler does not make. One TAP line a rule; a failure lists every place.

Layers: which folder may include which is in LAYERS, the one place. Purity: cores are checked with `nm -u` on their
archives, so a clock, file, socket, lock or stdio call cannot enter by accident."""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

BASE = {"common/base"}
DOMAIN = BASE | {"common/domain"}
COMMON = DOMAIN | {"common/auth", "common/compress", "common/wire", "common/obs", "common/conf", "common/net", "common/zk"}
LAYERS = {
    "common/base": BASE,
    "common/auth": BASE | {"common/auth"},
    "common/domain": DOMAIN,
    "common/compress": DOMAIN | {"common/compress"},
    "common/wire": DOMAIN | {"common/wire"},
    "common/obs": BASE | {"common/obs"},
    "common/conf": BASE | {"common/obs", "common/conf"},
    "common/net": DOMAIN | {"common/auth", "common/wire", "common/obs", "common/net"},
    "common/zk": DOMAIN | {"common/wire", "common/obs", "common/net", "common/zk"},
    "controller/core": DOMAIN | {"controller/core"},
    "controller/shell": COMMON | {"controller/core", "controller/shell"},
    "controller": COMMON | {"controller/shell"},
    "broker/core": DOMAIN | {"broker/core"},
    "broker/log": DOMAIN | {"common/obs", "broker/log"},
    "broker/clean": DOMAIN | {"common/compress", "broker/core", "broker/log", "broker/clean"},
    "broker/shell": COMMON | {"broker/clean", "broker/core", "broker/log", "broker/shell"},
    "broker": COMMON | {"broker/shell"},
    "clients/include/weir": {"clients/include/weir"},
    "clients/core": DOMAIN | {"clients/core"},
    "clients/lib": COMMON - {"common/zk"} | {"clients/core", "clients/lib", "clients/include/weir"},
    # Judges what clients were told, and replicas on disks by the decoders that brokers read them with; its load uses
    # libweir's public headers alone.
    "clients/check": DOMAIN | {"broker/log", "clients/include/weir", "clients/check"},
    # `weir meta rebuild` writes /weir when no controller is there to do it: the one user of ZooKeeper among the clients.
    # `weir log` reads what brokers wrote, by the decoders that brokers read it with.
    "clients/cli": COMMON | {"broker/log", "clients/check", "clients/include/weir", "clients/cli"},
}
# System headers that end at the folders named.
WALLS = {
    r"event2/.*": {"common/net", "common/zk", "controller/shell", "broker/shell"},
    r"zookeeper/.*": {"common/zk"},
    r"protobuf-c/.*|.*\.pb-c\.h": {"common/wire", "proto"},
    r"jansson\.h": {"controller/shell", "broker/shell", "clients/check", "clients/cli"},
    r"curl/.*": {"clients/cli"},
    r"openssl/.*": {"common/auth"},
}
# Archive → what it may leave undefined besides names that other archives of its layers define.
PURE = {
    "common/domain/libweir_domain.a": ["common/base"],
    "controller/core": ["common/base", "common/domain"],
    "broker/core": ["common/base", "common/domain"],
    "clients/core": ["common/base", "common/domain"],
    "clients/check/libweir_judge.a": ["common/base"],
}
PURE_LIBC = re.compile(
    r"^(mem(cpy|move|set|cmp|chr)|__mem(cpy|move|set)_chk|str(len|cmp|ncmp|nlen|chr|rchr|pbrk|spn|cspn|str|casecmp)|"
    r"__stack_chk_fail|__asan_.*|__ubsan_.*|__sanitizer_.*|__tsan_.*|bsearch|qsort|_GLOBAL_OFFSET_TABLE_|"
    r"(v)?snprintf|__(v)?snprintf_chk|strto(l|ll|ul|ull)|__isoc23_.*|__ctype_b_loc|__ctype_tolower_loc)$")
BANNED = {
    r"(?<![>.])\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca|rand|srand|random|atoi|atol)\(": set(),
    r"(?<![a-z_>.])rename\(": {"broker/log/file_io_posix.c", "tests/lib/fault.c", "tests/lib/faults.c", "tests/lib/power.c", "tests/lib/unsynced.c",
                              "tests/cluster/test_power.c"},
    r"\b(TODO|FIXME|XXX|HACK)\b": set(),
}
THREADS = {"control", "data", "pool", "any", "owner", "main", "one", "internal", "application"}


def sources(*folders):
    for folder in folders or ("common", "controller", "broker", "clients", "tests"):
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            yield path


def folder_of(path):
    return str(path.relative_to(ROOT).parent)


def check_layers():
    bad = []
    for path in sources("common", "controller", "broker", "clients"):
        folder = folder_of(path)
        allowed = LAYERS.get(folder)
        if allowed is None:
            bad.append(f"{path.relative_to(ROOT)}: its folder is in no layer")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'#include "([^"]+)"', line)
            if match and match[1].endswith(".pb-c.h"):
                continue
            if match and str(pathlib.PurePath(match[1]).parent) not in allowed:
                bad.append(f"{path.relative_to(ROOT)}:{number}: {folder} may not include {match[1]}")
    return bad


def check_walls():
    bad = []
    for path in sources("common", "controller", "broker", "clients"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'#include [<"]([^>"]+)[>"]', line)
            for pattern, allowed in WALLS.items():
                if match and re.fullmatch(pattern, match[1]) and folder_of(path) not in allowed:
                    bad.append(f"{path.relative_to(ROOT)}:{number}: {match[1]} ends at {', '.join(sorted(allowed))}")
    return bad


def symbols(archives, flag, kinds=None):
    names = set()
    for archive in archives:
        out = subprocess.run(["nm", flag, str(archive)], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            parts = line.split()
            if parts and not line.endswith(":") and (kinds is None or (len(parts) == 3 and parts[1] in kinds)):
                names.add(parts[-1])
    return names


def archives_in(build, folder):
    if folder.endswith(".a"):
        return [build / folder] if (build / folder).exists() else []
    return sorted((build / folder).glob("*.a"))


def check_purity(build):
    bad = []
    for folder, layers in PURE.items():
        own = archives_in(build, folder)
        if not own:
            bad.append(f"{folder}: no archive in {build}")
            continue
        known = symbols(own, "--defined-only")
        for layer in layers:
            known |= symbols(archives_in(build, layer), "--defined-only")
        for name in sorted(symbols(own, "-u") - known):
            if not PURE_LIBC.match(name):
                bad.append(f"{folder}: calls {name}")
    return bad


def check_form():
    bad = []
    for path in sources():
        lines = path.read_text().splitlines()
        if not lines or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
            bad.append(f"{path.relative_to(ROOT)}:1: the SPDX line is missing")
        if path.suffix == ".h" and "#pragma once" not in lines[:4]:
            bad.append(f"{path.relative_to(ROOT)}: #pragma once is missing")
        if len(lines) > 900:
            bad.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
        for number, line in enumerate(lines, 1):
            if len(line) > 130:
                bad.append(f"{path.relative_to(ROOT)}:{number}: {len(line)} columns")
    return bad


def check_functions():
    bad = []
    for path in sources("common", "controller", "broker", "clients"):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start is not None:
                if number - start > 90:
                    bad.append(f"{path.relative_to(ROOT)}:{start}: a function of {number - start} lines")
                start = None
    return bad


def check_banned():
    bad = []
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, allowed in BANNED.items():
                if re.search(pattern, line) and str(path.relative_to(ROOT)) not in allowed:
                    bad.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return bad


def check_threads():
    bad = []
    for path in sources("common", "controller", "broker", "clients"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.search(r"Thread: ([a-z]+)", line)
            if match and match[1] not in THREADS:
                bad.append(f"{path.relative_to(ROOT)}:{number}: `Thread: {match[1]}` is not a word for a thread")
    return bad


def check_rules():
    """A rule of docs/design stands in the code that implements it and in a test; code names only rules that exist."""
    bad = []
    pattern = re.compile(r"\[((?:REP|CTL|LOG|NET|GRP|TXN|BRK|ZK|CLI|LIB|PID|RBD)-\d+)\]")
    defined = {}
    for path in sorted((ROOT / "docs/design").glob("*.md")):
        for match in re.finditer(r"^\s*(?:[-*] |#+ |\| )?\**" + pattern.pattern, path.read_text(), re.M):
            defined.setdefault(match[1], path.name)
    used = {"code": set(), "test": set()}
    for path in sources():
        kind = "test" if path.is_relative_to(ROOT / "tests") else "code"
        used[kind] |= set(pattern.findall(path.read_text()))
    for rule in sorted(defined):
        for kind in used:
            if rule not in used[kind]:
                bad.append(f"[{rule}] of docs/design/{defined[rule]} stands in no {kind}")
    listed = set(re.findall(r"^(?:RULE|EXEMPT)\((\w+), (\d+),", (ROOT / "tests/sim/cover.def").read_text(), re.M))
    simulated = {rule for rule, page in defined.items() if page in ("10-replication.md", "30-controller.md")}
    for rule in sorted(simulated):
        if tuple(rule.split("-")) not in listed:
            bad.append(f"[{rule}] is not in tests/sim/cover.def: which seeds of the simulator need it, or why none can")
    for rule in sorted((used["code"] | used["test"]) - set(defined)):
        bad.append(f"[{rule}] is used but not defined in docs/design")
    return bad


def check_files():
    bad = []
    listed = "\n".join(path.read_text() for path in ROOT.rglob("meson.build") if "build-" not in str(path))
    for path in sources():
        short = re.sub(r"^(fuzz|test)_", "", path.stem)  # lists of tests and fuzz entries leave the prefix out
        if path.suffix == ".c" and path.name not in listed and short not in listed:
            bad.append(f"{path.relative_to(ROOT)}: in no meson.build")
    for folder in LAYERS:
        if (ROOT / folder).is_dir() and folder != "clients/include/weir" and not (ROOT / folder / "README.md").exists():
            bad.append(f"{folder}: no README.md")
    return bad


def check_words():
    bad = []
    for path in sorted(ROOT.rglob("*")):
        name = str(path.relative_to(ROOT))
        if re.match(r"(build[^/]*|\.git)(/|$)", name) or "__pycache__" in name or not path.is_file():
            continue
        if path.suffix not in (".c", ".h", ".md", ".py", ".sh", ".def", ".proto", ".build", "") or "/corpus/" in name:
            continue
        text = path.read_text(errors="replace")
        for match in re.finditer(r"(?i)for now\b|not yet implemented|placeholder", text):
            if name == "tests/tidy/tidy.py":
                continue
            bad.append(f"{name}: `{match[0]}`")
    return bad


def check_matrix():
    """Names of tests and mutants in docs/dev/fault-matrix.md are names of some."""
    tests = "".join(p.read_text() for p in sources("tests"))
    cases = set(re.findall(r"^ *static void (\w+)\($|^static void (\w+)\(\n? *void\)", tests, re.M))
    known = {n for pair in cases for n in pair if n} | {p.stem for p in sources("tests")}
    known |= set(re.findall(r"^MUTANT\((\w+),", (ROOT / "common/base/mutant.def").read_text(), re.M))
    named = re.findall(r"`(\w+)`", (ROOT / "docs/dev/fault-matrix.md").read_text())
    return [f"docs/dev/fault-matrix.md names `{n}`, which is no test and no mutant" for n in named if n not in known]


def check_prefixes(build):
    bad = []
    table = (ROOT / "docs/dev/modules.md").read_text()
    for folder, prefixes in re.findall(r"^\| `([^`]+)` \| (.*) \|$", table, re.M):
        known = set(re.findall(r"`([^`]+)`", prefixes))
        for name in sorted(symbols(archives_in(build, folder), "--defined-only", kinds="TDBR")):
            if not name.startswith("_") and name.split("_")[0] not in known:
                bad.append(f"{folder}: {name} has no prefix of docs/dev/modules.md")
    return bad


def check_reference(build):
    made = subprocess.run([str(build / "common/conf/weir-config-reference")], capture_output=True, text=True, check=True).stdout
    if made == (ROOT / "docs/ops/configuration.md").read_text():
        return []
    return ["docs/ops/configuration.md differs: BUILD/common/conf/weir-config-reference >docs/ops/configuration.md"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, help="a build folder, for the checks that read archives")
    build = parser.parse_args().build
    checks = [
        ("includes follow the layers", check_layers),
        ("library types end at their walls", check_walls),
        ("files have their form", check_form),
        ("functions fit a screen", check_functions),
        ("banned calls are absent", check_banned),
        ("threads are named by the known words", check_threads),
        ("rules stand in code and in tests", check_rules),
        ("files are built and folders explained", check_files),
        ("nothing is left half done", check_words),
        ("the fault matrix names tests that are there", check_matrix),
    ]
    if build:
        checks.append(("cores call nothing impure", lambda: check_purity(build.resolve())))
        checks.append(("names begin with their module's prefix", lambda: check_prefixes(build.resolve())))
        checks.append(("the configuration reference is current", lambda: check_reference(build.resolve())))
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        bad = check()
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {number} - {name}")
        for line in bad:
            print(f"# {line}")
    print(f"1..{len(checks)}")
    return 1 if failed else 0


sys.exit(main())
