/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct broker;

/* Compaction: threads of their own, which look for the log that needs it most, compact it, and rest for
 * log.cleaner.backoff.ms when none does. What all of them read and write a second is limited. They take a partition's
 * lock for a look and for the renames at the end of a segment; neither the loops nor the pool wait for them. */
struct cleaner;

/* NULL = log.cleaner.enable is false. Thread: control. */
struct cleaner *cleaner_new(struct broker *b);
/* The keys log.cleaner.* of broker_configs are in force from now on, for what is under way too; but the memory and its
 * load factor count from the next log on, and a thread that is not wanted any more ends with the log that it is at.
 * Takes NULL. Thread: control. */
void cleaner_limits_changed(struct cleaner *c);
/* Ends the threads: what they are at is given up, and done again at the next start. Takes NULL. Thread: main. */
struct cleaner *cleaner_free(struct cleaner *c);
