/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flat - a line of plain JSON as keys and values, without allocating.
 *
 * Takes what devices write nearly always: one object of printable ASCII texts without escapes,
 * whole numbers of at most 18 digits, true, false and null. Anything else, right or wrong, is left
 * to a whole JSON parser: that flat_parse says no is no judgement. Does not look for keys given
 * twice.
 *
 * weighed: jansson and its malloc took 45 % of the CPU a producer spent in bulk; with this in front
 * of it a million simulated events cost 4.7 s of CPU instead of 8.9 (larger groups per fsync
 * included).
 *
 * Pure. Keys and texts point into the line, keys that were expected to where they were expected.
 */
#ifndef FX_FLAT_H
#define FX_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLAT_PAIRS_MAX 130

/* flat_parse gives the first five. */
enum flat_type {
    FLAT_NULL,
    FLAT_FALSE,
    FLAT_TRUE,
    FLAT_NUMBER,
    FLAT_TEXT,
    FLAT_FRACTION,
    FLAT_LIST,
    FLAT_OBJECT,
    FLAT_TYPE_COUNT
};

struct flat_value {
    enum flat_type type;
    int64_t number;   /* FLAT_NUMBER */
    const char *text; /* FLAT_TEXT: borrowed, size bytes, not always terminated */
    int size;
};

struct flat_pair {
    const char *key; /* borrowed, key_size bytes, not always terminated */
    int key_size;
    struct flat_value value;
};

struct flat {
    int count;
    struct flat_pair pairs[FLAT_PAIRS_MAX];
};

/* What a key will be: plain text of size bytes; NULL: not known. */
struct flat_key {
    const char *text;
    size_t size;
};

/*
 * expected[i] is the key that pair i may have: if it has, its key is that very pointer. NULL:
 * nothing is expected. A device writes the same keys in the same order, and to compare a key takes
 * less than to find its end.
 *
 * false: not plain; *flat is not to be used.
 */
bool flat_parse(const char *line, size_t size, const struct flat_key expected[FLAT_PAIRS_MAX],
                struct flat *flat);

#endif
