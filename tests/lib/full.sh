#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `tests/run --full` adds: ThreadSanitizer on units and cluster tests, clang's thread-safety analysis, libFuzzer,
# all mutants. Leaves meson's logs in the results folder given.
set -eu
results=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
failed=0

suite() { # build folder, suite, label
    meson test -C "$1" --no-rebuild --suite "$2" --logbase "$3" --num-processes 1 --timeout-multiplier 4 \
        >"$results/$3.out" 2>&1 || failed=1
    cp "$1/meson-logs/$3.json" "$results/$3.json"
}

[ -f build-tsan/build.ninja ] || meson setup build-tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Dwerror=true >/dev/null
ninja -C build-tsan --quiet
export TSAN_OPTIONS=halt_on_error=1:exitcode=86
suite build-tsan unit unit-tsan
suite build-tsan cluster cluster-tsan

[ -f build-clang/build.ninja ] || CC=clang-14 meson setup build-clang -Dbuildtype=debugoptimized -Dfuzzers=true \
    -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true >/dev/null
if ninja -C build-clang --quiet; then
    suite build-clang fuzz fuzz-clang
else
    failed=1
fi
tests/sim/mutants >"$results/mutants.out" 2>&1 || failed=1
exit $failed
