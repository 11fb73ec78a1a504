/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim - from where a worker counts: positions, ledger and gaps, under PostgreSQL's locks; and
 * whether Kafka still has what was counted and what is to be counted. Private to the pipeline.
 *
 * Loud loss: where Kafka lost something, or is not the Kafka we knew, the worker stops with
 * FX_ESTATE and names topic, partition, the exact offsets, and the command that accepts it. It
 * never goes on by itself; what an acceptance does is in store.h.
 */
#ifndef FX_CLAIM_H
#define FX_CLAIM_H

#include "pipeline_state.h"

/* Claims the partitions of the waiting change, or the assigned ones anew. */
FX_MUST_CHECK enum fx_code claim_partitions(struct pipeline *pipeline, struct fx_err *err);

/* The next claims look up what the refused flush presumed new; its replay is no larger. */
void claim_want_presumed(struct pipeline *pipeline);

/* Where every partition of every topic ends now, for --until-end. */
FX_MUST_CHECK enum fx_code claim_list_ends(struct pipeline *pipeline, struct fx_err *err);

/* Kafka lost offsets of part, as why says; the error ends in the command that accepts it.
 */
enum fx_code claim_refuse_loss(const struct pipeline *pipeline, const struct part *part,
                               const struct claim_range *lost, const char *why, struct fx_err *err);

/* Kafka is the one we knew: beyond the end of another log all would look counted. */
bool claim_is_verified(const struct pipeline *pipeline);

/* The next of the pipeline's random numbers: tokens must differ, not be secret. */
uint64_t claim_random(struct pipeline *pipeline);

/* Drops all that is not committed. */
void claim_drop(struct pipeline *pipeline);

#endif
