/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station - the program behind every producer: lines in, outbox, Kafka out.
 *
 * A main gives a dialect: what its kind needs beyond what the schema says. Everything else, from
 * the options to the exit status, is the same for all kinds. One thread (and librdkafka's own);
 * each turn takes a batch of lines, commits them with one fsync, answers, and hands rows to Kafka.
 */
#ifndef FX_STATION_H
#define FX_STATION_H

#include "outbox.h"
#include "record.h"

struct dialect {
    const char *program;      /* "fx-checkpoint" */
    const char *kind;         /* the kind it speaks; NULL: the first operand names it */
    const char *summary;      /* for --help */
    record_complete complete; /* may compute fields of a line; NULL: none */

    /*
     * Checks what the schema cannot say, with what the outbox knows, and notes in the outbox what
     * changes with this event; in the transaction that stores it. Called for reversals too, with
     * sign -1. Refuses with record_refuse. NULL: no such rule.
     */
    enum fx_code (*admit)(struct record_line *line, struct outbox *outbox, struct fx_err *err);
};

/* The whole program; returns main's exit status. */
int station_main(const struct dialect *dialect, int argc, char **argv);

#endif
