/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct broker;

/* What a broker can say about being reached. It sees no watch and waits to be dialled: for it, an address that nobody
 * reaches and a registration that was refused both look like silence. So it warns of an address that can only be wrong,
 * and after ten seconds of silence it says where it waits and what to check. [TRU-5] [TRU-6] Thread: control. */
struct reach;

/* After the registration and the controller's link; look-ups run on the broker's resolver. */
struct reach *reach_new(struct broker *b);
struct reach *reach_free(
        struct reach *r); /* takes NULL; before those it watches, the resolver and the loop */

/* Why a registered broker may have gone ungreeted for so long; "" = a controller is connected, or it is not so long. */
const char *reach_trouble(const struct reach *r);
