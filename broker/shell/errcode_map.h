/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where outcomes of modules become codes of the wire: the one place. Thread: any. */

struct refusal {
    int error;          /* ERRCODE_* */
    const char *detail; /* a static sentence; never NULL */
};

/* BATCH_E_* of batch_validate_produced(). */
struct refusal errcode_of_batch(int batch_e);
/* PLOG_E_* or a negative errno of a partition log. */
struct refusal errcode_of_plog(int r);
/* WIRE_E_* of a decoder. */
struct refusal errcode_of_wire(int wire_e);
/* COMPRESS_E_* or a record's BATCH_E_*, met while looking inside a stored batch. */
struct refusal errcode_of_stored_batch(int r);
