/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"

#include <stdbool.h>
#include <stdint.h>

/* A disk in memory that forgets: the table of file operations that logs use, over folders and files which know what
 * was synced. A power cut keeps of the unsynced operations on each file and folder a random part, as an adversary
 * would: writes in any order, torn at 512 bytes, a file's length without its bytes, names of new files or not, a rename
 * wholly or not at all. A file's own sync does not sync its name; a folder's does not sync what is in its files.
 *
 * Everything repeats exactly from the seed. One owner at a time. */
struct mem_disk;

struct mem_disk *mem_disk_new(uint64_t seed);
/* Every descriptor must have been closed. Takes NULL. */
struct mem_disk *mem_disk_free(struct mem_disk *d);
/* Good as long as the disk. */
const struct file_io *mem_disk_io(struct mem_disk *d);

/* From the nth changing operation on (1 = the next) the disk is dead for its users, as if they had died before it
 * returned: every call answers -EIO, and of the one that it struck a random part has happened. 0 = never. */
void mem_disk_die_at(struct mem_disk *d, uint64_t n);
bool mem_disk_is_dead(const struct mem_disk *d);
/* Changing operations so far: writes, cuts, syncs, renames, creations, removals. */
uint64_t mem_disk_n_changes(const struct mem_disk *d);
/* The nth changing operation (1 = the next) fails with this errno (negative) and changes nothing; 0 = none. */
void mem_disk_fail_at(struct mem_disk *d, uint64_t n, int error);
/* So many bytes may be added to files; a write beyond is short, or fails with -ENOSPC; a cut gives back. Negative = no
 * limit. */
void mem_disk_set_room(struct mem_disk *d, int64_t bytes);

/* The users died, the kernel lives: descriptors and locks are gone, every byte is there. */
void mem_disk_end_process(struct mem_disk *d);
/* The power went: the same, but of what was not synced a random part is lost. Another boot id from then on. */
void mem_disk_cut_power(struct mem_disk *d);
