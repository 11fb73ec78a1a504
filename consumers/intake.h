/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake - messages and assignments from Kafka.
 *
 * No third-party type in here: a simulator links another intake. One worker, one intake, one
 * thread. The group decides which partitions this worker has (classic protocol, eager), but
 * offsets come from PostgreSQL only: intake_assign always names them.
 *
 * Not every offset has a message: a transaction ends in a marker, and what was aborted is not
 * delivered. So the end of a partition is told, each time it is reached, at or behind the message
 * that was delivered last.
 *
 * An assignment change waits (intake_change) until it is answered: INTAKE_ASSIGN by
 * intake_assign, INTAKE_REVOKE and INTAKE_LOST by intake_unassign. Until then no messages come.
 */
#ifndef FX_INTAKE_H
#define FX_INTAKE_H

#include "../common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intake;

struct intake_message {
    int topic; /* index as given at intake_open */
    int32_t partition;
    int64_t offset;
    int64_t append_ms;
    bool is_append_time; /* the broker's clock, not the producer's */
    bool is_unread;      /* no message: the batch that begins at offset cannot be unpacked */
    bool is_end;         /* no message, nor any between the one before and offset: none yet */
    const void *key;
    size_t key_size;
    const void *value;
    size_t value_size;
};

/* Takes a message, borrowed for the call. false: deliver no more for now (it was taken). */
typedef bool intake_take_cb(void *context, const struct intake_message *message);

enum intake_change { INTAKE_NONE, INTAKE_ASSIGN, INTAKE_REVOKE, INTAKE_LOST };

struct intake_partition {
    int topic;
    int32_t partition;
    int64_t offset; /* where to begin */
};

/* Joins the group; before, only ranges and counts can be asked. FX_ERETRY. */
FX_MUST_CHECK enum fx_code intake_subscribe(struct intake *intake, struct fx_err *err);

/*
 * Serves callbacks and delivers waiting messages to take, waiting up to timeout_ms for the first.
 * take NULL: serves callbacks only (push-back).
 *
 * FX_ECLAIM   an offset is not there: a claim finds out what became of it.
 * FX_ESTATE   the group fenced this member, a topic is gone.
 * FX_ECONFIG  not authorised.
 */
FX_MUST_CHECK enum fx_code intake_poll(struct intake *intake, int timeout_ms, intake_take_cb *take,
                                       void *context, struct fx_err *err);

/* Another member took this one's name (options.instance): only a new intake can join again. */
bool intake_is_fenced(const struct intake *intake);

/* The change that waits for an answer; for INTAKE_ASSIGN list and count tell which partitions,
 * borrowed until it is answered. */
enum intake_change intake_change(const struct intake *intake, const struct intake_partition **list,
                                 int *count);

/* Answers INTAKE_ASSIGN, or begins the assigned partitions anew elsewhere; an intake that never
 * subscribes begins partitions of its choice. Those that wait for a leader may be left out: the
 * group keeps them for us. FX_ERETRY, FX_EMEMORY: the change still waits, whole. */
FX_MUST_CHECK enum fx_code intake_assign(struct intake *intake, const struct intake_partition *list,
                                         int count, struct fx_err *err);
void intake_unassign(struct intake *intake);

/* Delivers partition from offset on. FX_ERETRY: not now. */
FX_MUST_CHECK enum fx_code intake_seek(struct intake *intake, int topic, int32_t partition,
                                       int64_t offset, struct fx_err *err);

/* What the broker has of a partition. */
struct intake_range {
    int topic;
    int32_t partition;
    int64_t low;   /* out: first offset there is */
    int64_t high;  /* out: the offset behind the last */
    bool is_known; /* out: it has a leader, which answered */
};

/* Asks the brokers now for all ranges at once. A partition without a leader is not known, and holds
 * up no other. FX_ERETRY: a leader did not answer in time, or none of the partitions has one. */
FX_MUST_CHECK enum fx_code intake_ask_ranges(struct intake *intake, struct intake_range *ranges,
                                             int count, struct fx_err *err);

/* The id of the Kafka cluster, borrowed; stays what it was first. FX_ERETRY: not known yet. */
FX_MUST_CHECK enum fx_code intake_cluster(struct intake *intake, const char **cluster,
                                          struct fx_err *err);

/* How many partitions topic has. FX_ERETRY; FX_ECONFIG: it does not exist. */
FX_MUST_CHECK enum fx_code intake_partition_count(struct intake *intake, int topic, int32_t *count,
                                                  struct fx_err *err);

#endif
