/* SPDX-License-Identifier: Apache-2.0 */
/* The resources that ask somebody else first, for programs that know no server: they are routed and never called. */
#include "common/base/must.h"
#include "controller/shell/http_resources.h"

#define NEVER(name)                                                                                \
    void name(const struct http_view *v, const struct http_call *c, const char *arg,               \
            struct http_later *later)                                                              \
    {                                                                                              \
        must_not_reach("there is no server");                                                      \
    }

NEVER(http_get_broker_configs)
NEVER(http_post_transfer)
NEVER(http_get_reach)
NEVER(http_get_decisions)
NEVER(http_get_decision)
NEVER(http_export_image)
NEVER(http_post_trim)
NEVER(http_get_broker_logs)
NEVER(http_get_trash)
NEVER(http_get_trashed)
NEVER(http_get_operation)
