/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

/* Says that Hello to broker 1 with proof of the cluster's secret; it must be refused so, with a sentence, and the
 * connection closed. */
void check_proven_hello_is_refused(struct msg_hello_request m, int error);
