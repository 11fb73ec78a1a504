/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_text - the ranges that a person names on a command line.
 *
 * Pure: no database, no Kafka. A wrong text is FX_ECONFIG, says what is wrong and how it should
 * look, and leaves the out-parameter untouched.
 */
#ifndef FX_DECIDE_TEXT_H
#define FX_DECIDE_TEXT_H

#include "../common/err.h"

#include <stdint.h>

#define DECIDE_NAME_MAX 249 /* bytes of a topic's name; a source's are fewer */

/* SOURCE:RUN:FIRST-LAST, or SOURCE:RUN with first and last 0. */
struct decide_numbers {
    char source[DECIDE_NAME_MAX + 1];
    int64_t run; /* 48 bits, written as 12 hex digits */
    int64_t first;
    int64_t last;
};

/* TOPIC:PARTITION:FIRST-LAST */
struct decide_offsets {
    char topic[DECIDE_NAME_MAX + 1];
    int32_t partition;
    int64_t first;
    int64_t last;
};

FX_MUST_CHECK enum fx_code decide_parse_numbers(const char *text, struct decide_numbers *numbers,
                                                struct fx_err *err);
FX_MUST_CHECK enum fx_code decide_parse_run(const char *text, struct decide_numbers *numbers,
                                            struct fx_err *err);
FX_MUST_CHECK enum fx_code decide_parse_offsets(const char *text, struct decide_offsets *offsets,
                                                struct fx_err *err);

/* A reason is 1 to 500 bytes of UTF-8; NULL: none was given. */
FX_MUST_CHECK enum fx_code decide_check_reason(const char *reason, struct fx_err *err);

#endif
