/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dump - a reading as one line of JSON, for compare.py.
 *
 *   {"name": "edge-nul", "bytes": "c301…", "reasons": {"checkpoint": "ok", …}, "envelope": true,
 *    "values": {"source": {"hex": "4350"}, "run": 7, "vehicle": "CAR", …} or null,
 *    "rows": {"checkpoint_town|441521|…": {"checked_vehicles": 1, …}, …}}
 *
 * Texts that may be no UTF-8 are hex. A column of last has a second entry NAME_last with time,
 * run and number, in the table by source; the other tables do not keep it.
 */
#ifndef FX_FUZZ_DUMP_H
#define FX_FUZZ_DUMP_H

#include "fuzz_check.h"

/* An input as it was given. */
struct fuzz_input {
    const char *name;
    const uint8_t *bytes;
    size_t size;
};

void fuzz_dump(const struct fuzz_input *input, const struct fuzz_reading *reading);

#endif
