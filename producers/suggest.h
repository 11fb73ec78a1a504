/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest - what a person probably meant.
 *
 * Optimal string alignment distance (Levenshtein's with neighbours swapped), blind to the case of
 * ASCII letters. Pure, no allocation. Names longer than SUGGEST_NAME_MAX bytes never match.
 */
#ifndef FX_SUGGEST_H
#define FX_SUGGEST_H

#include <stddef.h>

#define SUGGEST_NAME_MAX 64
#define SUGGEST_QUOTE_SIZE 48

struct suggest {
    const char *word; /* what was given; borrowed */
    const char *best; /* the nearest name offered so far, NULL: none is near enough */
    int distance;     /* of best */
};

void suggest_init(struct suggest *suggest, const char *word);

/* Keeps name, borrowed, if it is nearer than what came before: at most a third of it differs. */
void suggest_offer(struct suggest *suggest, const char *name);

/*
 * word between single quotes, fit for a message: cut to some 40 bytes at a whole character,
 * control bytes and quotes replaced by '?'. Returns out.
 */
char *suggest_quote(char out[SUGGEST_QUOTE_SIZE], const char *word);

/* Replaces what stands between single quotes in text by "...", so that it can go to a log. */
void suggest_mask(char *text);

#endif
