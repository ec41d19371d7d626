/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cover.h"

struct cover cover_taken;
