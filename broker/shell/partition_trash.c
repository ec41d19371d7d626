/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/shell/partition_impl.h"
#include "common/base/must.h"
#include "common/obs/log.h"

#include <errno.h>

/* A partition's log on its way into the trash, and back. */

/* A log that never opened (damaged, or not asked for) is known by its folder. */
static int leave(struct partition *p, struct plog *removed)
{
    struct checkpoint_entry known;

    if (removed == NULL && p->is_hollow) {
        return 0;
    }
    if (removed == NULL) {
        if (log_dir_checkpoint(p->dir, &p->key.topic_id, p->key.number, &known)) {
            log_trash_note(p->dir, &known);
        }
        return log_trash_move_found(p->dir, p->name, &p->key.topic_id, p->key.number);
    }
    if (p->has_last) {
        log_trash_note(p->dir, &p->last); /* [TRS-9] */
    }
    return plog_delete(removed);
}

void partition_leave(struct partition *p, struct plog *removed)
{
    int r = leave(p, removed);

    if (r < 0) {
        log_error("partition", "trash_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_ERR(r),
                KV_STR("reason", log_dir_failure(p->dir)));
    }
    log_trash_left(p->dir, &p->key.topic_id, p->key.number, p->name, r < 0);
    atomic_store(&p->env->is_checkpoint_stale, true);
    p->env->left(p->env->ctx);
}

void partition_open_later(struct partition *p)
{
    p->is_opening = p->is_hollow = true;
    p->n_users = 1; /* Until then it stays, also when its topic is removed. */
}

static const char *restore_trouble(int r)
{
    return r == LOG_TRASH_E_EMPTIED ? "its records were given up when the disk was low on space"
           : r == LOG_TRASH_E_TAKEN ? "another folder has its name"
                                    : log_err_text(r);
}

static void tell_restore(const struct partition *p, int r)
{
    if (r == 0) {
        log_info("partition", "log_restored", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)));
    } else {
        log_error("partition", "restore_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)),
                KV_STR("reason", restore_trouble(r)));
    }
}

/* Whether it will do so later by itself. */
static bool must_wait(const struct partition *p, int r)
{
    return r == LOG_TRASH_E_BUSY || r == -ENOSPC || r == -EDQUOT ||
           (r < 0 && log_dir_is_scarce(r)) || log_trash_is_leaving(p->dir, p->name);
}

/* Removed before its turn came: what is in the trash, or on the way there, stays so. Else the
 * configuration to open with; one that comes meanwhile is held. */
static bool give_up_opening(struct partition *p, struct plog_config *ret)
{
    struct hold h;
    bool is_removed;

    hold_begin(&h, p);
    is_removed = partition_is_removed(p);
    if (is_removed) {
        p->is_opening = p->has_held = false;
        partition_use_end(&h);
    }
    *ret = p->settings.log;
    hold_end(&h);
    return is_removed;
}

/* [TRS-8] Neither the move nor the recovery holds the partition's lock: requests find it without a role. */
bool partition_try_open(struct partition *p)
{
    struct plog_config config;
    struct plog *log = NULL;
    struct hold h;
    int64_t scanned = 0;
    int r = LOG_TRASH_E_BUSY;

    if (give_up_opening(p, &config)) {
        return true;
    }
    if (!log_trash_is_leaving(p->dir, p->name)) {
        r = log_trash_restore(p->dir, &p->key.topic_id, p->key.number, p->topic);
    }
    if (must_wait(p, r)) {
        return false;
    }
    if (r != LOG_TRASH_E_ABSENT) {
        tell_restore(p, r);
    }
    if (r == 0 || r == LOG_TRASH_E_ABSENT) {
        log = partition_open_log(p, &config, &scanned);
    }
    hold_begin(&h, p);
    must(p->is_opening && p->n_users > 0);
    p->is_opening = false;
    p->is_hollow = false;
    if (p->core.role == REPLICA_FAILED) {
        (void)plog_close(log); /* Its disk failed meanwhile. */
    } else if (log == NULL) {
        partition_fail_locked(&h);
    } else {
        partition_install_log(p, log);
    }
    if (p->log != NULL && p->has_held) {
        partition_carry_out(&h, &p->held);
    }
    p->has_held = false;
    partition_use_end(&h);
    hold_end(&h);
    return true;
}
