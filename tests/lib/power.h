/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Power failures of hosts, on one machine: weir_unsynced.so in a process writes down what is not
 * synced in a folder, and after the process was killed this takes it back. Thread: one. */

/* Programs that this one starts from now on have the shim; it acts in those of that name, in
 * folders of that name. */
void power_begin(const char *program, const char *folder);
/* Programs started from now on do not. */
void power_end(void);

/* How many operations within the folder a power failure could take back; with a file's name in it
 * only changes of that file's bytes. */
size_t power_unsynced(const char *folder, const char *file);
/* The power went; nobody uses the folder. Of what was not synced everything is lost when `seed` is
 * 0; else of each file and folder the last operations, as many as the seed says, and of a file's
 * last append that is kept perhaps a part. Whoever opens the folder next finds another file system
 * id, as after a boot. Returns how many operations were taken back. */
size_t power_cut(const char *folder, uint64_t seed);
