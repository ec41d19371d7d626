/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"

/* Open segment and index files, at most `max` of them: least recently used ones that nobody holds
 * are closed. So 10,000 partitions do not need 10,000 open files.
 *
 * A hold is for the time of an operation; holds may exceed `max` for as long as they last, so they
 * must be few: some per thread. What lasts as long as a client likes, an answer under way, is a
 * kept file: of those there are never more than three quarters of `max`. No file is opened or
 * closed under the cache's own lock. Thread: any. */
struct file_cache;
struct cached_file;

struct file_cache *file_cache_new(const struct file_io *io, size_t max);
/* Every file must have been released and forgotten. Takes NULL. */
struct file_cache *file_cache_free(struct file_cache *c);

/* A file that may be open. `path` is copied. */
struct cached_file *cached_file_new(struct file_cache *c, const char *path);
/* Forgets it: the descriptor closes when the last holder releases it. Takes NULL. */
void cached_file_forget(struct cached_file *f);
/* Opens (O_RDWR, never creates) if needed and holds the descriptor open until released. When the
 * process is out of descriptors, idle files are closed first. A forgotten file may be held by who
 * holds it already. Negative: errno. */
MUST_CHECK int cached_file_hold(struct cached_file *f, int *ret_fd);
/* One more hold on a held file. */
void cached_file_hold_again(struct cached_file *f);
void cached_file_release(void *f); /* takes void* so that it serves as a release callback */
/* Makes the caller's hold one that may last; cached_file_drop() ends it. False: too many files are
 * kept already, and the hold is still a plain one. */
MUST_CHECK bool cached_file_keep(struct cached_file *f);
void cached_file_drop(void *f);
const char *cached_file_path(const struct cached_file *f);
size_t file_cache_n_open(struct file_cache *c);
/* Closes some idle files, for an operation that met -EMFILE elsewhere. False: none is idle. */
bool file_cache_make_room(struct file_cache *c);
