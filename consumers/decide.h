/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide - what only a person may decide, as actions of fx-setup.
 *
 *   --write-off     numbers that will never come           decide_ledger.c
 *   --release       a quarantined run counts again         decide_ledger.c
 *   --accept-loss   offsets that Kafka lost                decide_loss.c
 *   --accept-cluster  the topics moved to another Kafka    decide_loss.c
 *   --cut-off       a report was made                      decide_ledger.c
 *   --swap          a schema counted anew becomes live     decide_swap.c
 *
 * Each is one READ COMMITTED transaction that first takes the partitions it touches from their
 * workers, as a claim does: it locks partition_position and renews the generation. What was decided
 * goes with who and why into the record schema, which no rebuild touches. One run of fx-setup does
 * one of them and nothing else. What does not fit what is there is refused, with what is there.
 *
 * After the commit: a log line, and a sentence on stdout.
 */
#ifndef FX_DECIDE_H
#define FX_DECIDE_H

#include "../common/kafka.h"

#include <stdbool.h>
#include <stdint.h>

#define DECIDE_NO_TIME INT64_MIN

struct decide_options {
    const char *write_off;   /* SOURCE:RUN:FIRST-LAST */
    const char *release;     /* SOURCE:RUN */
    const char *accept_loss; /* TOPIC:PARTITION:FIRST-LAST */
    const char *swap;        /* schema name */
    const char *reason;
    const char *kind;   /* of the run, where its number is not enough */
    int64_t cut_off_ms; /* DECIDE_NO_TIME: not given */
    bool is_cluster_accepted;
};

/* Where the decision is taken. */
struct decide_place {
    const char *conninfo;
    const char *schema_name;
    const struct kafka_options *kafka;
};

/* Whether any of it is asked for. */
bool decide_is_asked(const struct decide_options *options);

/*
 * Takes the one decision that is asked for, and prints it. is_short: it is done, but figures are
 * missing now, and what is printed says how to get them (--swap alone).
 *
 * FX_ECONFIG  refused: err says what is wrong and what there is instead. Nothing changed.
 * FX_ERETRY, FX_ECLAIM  PostgreSQL or Kafka is away, or locks did not come: try again.
 * FX_ESTATE   stored state contradicts itself.
 */
FX_MUST_CHECK enum fx_code decide_run(const struct decide_options *options,
                                      const struct decide_place *place, bool *is_short,
                                      struct fx_err *err);

#endif
