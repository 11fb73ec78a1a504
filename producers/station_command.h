/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station_command - status, resending, reversing: by the running station if there is one.
 *
 *   {"command":"status"}
 *   {"command":"resend","source":"CP-1","run":"0123456789ab","first":1,"last":40}
 *   {"command":"reverse","source":"CP-1","run":"0123456789ab","seq":7,"reason":"…"}
 *
 * One line each, one answer line: {"ok":true,…} or {"ok":false,"reason":"…"}. A reversal is an
 * event: a station that stops takes none.
 */
#ifndef FX_STATION_COMMAND_H
#define FX_STATION_COMMAND_H

#include "station_core.h"

/* Is this line of a socket a command, rather than an event? */
bool command_is_one(const char *text, size_t size);

/* Carries out a command; no batch is open, before or after. Answers whatever comes of it.
 * FX_EDISK, FX_ESTATE, FX_EMEMORY. */
FX_MUST_CHECK enum fx_code command_serve(struct station *station, const char *text, size_t size,
                                         struct answers *answers, struct fx_err *err);

/* The line for --status, --resend or --reverse, with newline. FX_ECONFIG: not understood. */
FX_MUST_CHECK enum fx_code command_format(const struct station_options *options, struct buf *line,
                                          struct fx_err *err);

#endif
