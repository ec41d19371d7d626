/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* NULL when `name` is a legal topic name (Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], not "." or
 * ".."), else the sentence that says why not. Thread: any. */
const char *topic_name_refusal(const char *name);
