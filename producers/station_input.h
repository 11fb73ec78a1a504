/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station_input - where lines come from: stdin, a followed file, or a simulation.
 *
 * The position of a file and of a simulation is stored in the transaction of the lines, so each
 * line is taken exactly once whatever crashes. stdin has no position: at least once, by the
 * caller.
 */
#ifndef FX_STATION_INPUT_H
#define FX_STATION_INPUT_H

#include "station_core.h"

/*
 * The input the options ask for; *input is NULL if lines come from the socket alone. answers are
 * for stdin's lines, NULL: none wanted.
 */
FX_MUST_CHECK enum fx_code input_open(struct station *station, struct answers *answers,
                                      struct input **input, struct fx_err *err);

/* Takes up to limit lines that are there at once. On error the batch was not rolled back. */
FX_MUST_CHECK enum fx_code input_take(struct input *input, int64_t limit, struct fx_err *err);

/* Syncs a followed file and notes the position in the open batch; station_commit calls it. */
FX_MUST_CHECK enum fx_code input_note(struct input *input, struct fx_err *err);

/* The batch was rolled back: go back to the position that is stored. FX_EDISK if the input has
 * none. A followed file that cannot be opened just now is tried again by input_take. */
FX_MUST_CHECK enum fx_code input_rewind(struct input *input, struct fx_err *err);

/* A descriptor to poll for lines, -1: none. */
int input_poll_fd(const struct input *input);

bool input_is_ended(const struct input *input); /* there will be no more lines */
bool input_has_more(const struct input *input); /* lines are there already */

/* When to look again, in ms from now, where there is nothing to poll. */
int input_wait_ms(const struct input *input);

enum input_state input_state(const struct input *input);

/* --write-sources. FX_EDISK, FX_ECONFIG. */
FX_MUST_CHECK enum fx_code input_write_sources(const struct station_options *options,
                                               struct fx_err *err);

/* Hands every line of the simulation the options ask for to take; ends with take's first error. */
typedef enum fx_code input_line_cb(void *context, const char *text, size_t size,
                                   struct fx_err *err);
FX_MUST_CHECK enum fx_code input_each_simulated(const struct station_options *options,
                                                input_line_cb *take, void *context,
                                                struct fx_err *err);

void input_close(struct input *input);

#endif
