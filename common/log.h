/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one logfmt line per happening, on stderr.
 *
 * ts=2022-02-10T08:00:00.000Z lvl=info prog=fx-rollup ev=flush cells=231 events=50000 ms=12
 *
 * ev is a stable identifier an operator can search for. Values are counts, codes, offsets and
 * our own words: never text of an event, a token or a name. Text that came from outside (a
 * library's message) goes through fx_log_quote, which escapes control bytes and cuts at 768 bytes.
 * Thread-safe: a line is written with one write(2).
 */
#ifndef FX_LOG_H
#define FX_LOG_H

#include "err.h"

#include <stddef.h>

enum fx_log_level { FX_LOG_ERROR, FX_LOG_WARN, FX_LOG_INFO, FX_LOG_DEBUG };

/* Names the program in each line; program must live as long as the process. */
void fx_log_open(const char *program, enum fx_log_level level);

/* "error", "warn", "info" or "debug". FX_ECONFIG: none of these. */
FX_MUST_CHECK enum fx_code fx_log_parse_level(const char *text, enum fx_log_level *level,
                                              struct fx_err *err);

/* event is ev's value; format makes the rest of the line, "key=value key=value". */
void fx_log(enum fx_log_level level, const char *event, const char *format, ...) FX_PRINTF(3, 4);

/* ev=EVENT code=FX_… msg="…" at level error. */
void fx_log_err(const char *event, const struct fx_err *err);

/* Writes text as a quoted logfmt value into out (at least 16 bytes). Returns out. */
char *fx_log_quote(char *out, size_t size, const char *text);

#endif
