/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct json_t;

/* The object in what a weir_load has written; its complaints stand beside it. NULL = none. json_decref. */
struct json_t *load_result(const char *path);
