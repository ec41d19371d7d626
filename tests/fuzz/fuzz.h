/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/must.h"

#include <stddef.h>
#include <stdint.h>

/* A fuzz entry is one file fuzz_<name>.c that defines this function, one line in the list of
 * tests/fuzz/meson.build, and a few small files in tests/fuzz/corpus/<name>/. libFuzzer calls it
 * where clang builds with -Dfuzzers=true; elsewhere replay.c runs the corpus and seeded
 * mutations of it. The entry takes any bytes, keeps nothing between two calls, asserts what must
 * hold with must(), and returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
