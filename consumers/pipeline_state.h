/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_state - what the pipeline's files share: pipeline.c (when), claim.c (from where),
 * arrive.c (which message), take.c (what an event does), compose.c (what a flush holds). Private
 * to them and to redrive.
 */
#ifndef FX_PIPELINE_STATE_H
#define FX_PIPELINE_STATE_H

#include "../common/retry.h"
#include "pipeline.h"
#include "pipeline_part.h"
#include "plan.h"

#define PIPELINE_REJECTED_MAX 512
#define PIPELINE_HOURS_MAX 65536
#define PIPELINE_HOLES_MAX 64
#define PIPELINE_DAYS_MAX 8192
#define PIPELINE_MARKS_MAX 65536
#define PIPELINE_REFUSED_MAX 64
#define PIPELINE_PARTS_MAX 4096

struct kind_state {
    struct plan *plan;
    struct cells *cells[ROLLUP_PER_KIND_MAX];
    struct levels *levels[ROLLUP_PER_KIND_MAX];
    int64_t not_before_ms;
};

/* A message the database refused when it was flushed alone. */
struct refused {
    int topic;
    int32_t partition;
    int64_t offset;
};

struct pipeline {
    struct pipeline_options options;
    struct pipeline_stats stats;
    struct kind_state kinds[CATALOG_KINDS_MAX];
    struct region_tree regions;
    struct ledger *ledger;
    struct marks marks;
    bool accept_simulated;
    struct redriven *redriven; /* see redrive.h; NULL: events come in their order */
    struct claim_range untimed[CLAIM_UNTIMED_MAX];
    int untimed_count;
    uint64_t random_state;
    struct intake_partition *assigned; /* by the group, by topic, partition */
    int assigned_count;
    int assigned_room;
    bool must_claim;    /* one that was assigned and is no part has a leader again */
    struct part *parts; /* by topic, partition: the assigned ones, but those without a leader */
    int part_count;
    int part_room;
    struct part *recent; /* where the last message came from */
    bool has_unread;     /* a part is_unread */

    struct flush_rejected rejected[PIPELINE_REJECTED_MAX];
    int rejected_count;
    struct flush_hour *hours;
    int hour_count;
    struct flush_hole holes[PIPELINE_HOLES_MAX];
    int hole_count;
    struct flush_day *days;
    int day_count;
    struct flush_tally *tallies;
    int tally_count;
    int64_t reported_until_ms; /* by the cut-offs the last claim read, INT64_MIN: none */

    int64_t now_ms;
    int64_t pending;   /* messages taken since the last flush began */
    int64_t room;      /* take_room at the step's begin, counted down, then asked again */
    int64_t taken_max; /* no more than this many per flush; less after a refusal */
    struct refused refused[PIPELINE_REFUSED_MAX];
    int refused_count;
    struct refused *suspects; /* room for part_count: the refused flush's ends, see pipeline.c */
    int suspect_count;
    struct refused latest; /* the last message taken */
    int64_t latest_append_ms;
    struct refused flight_latest;
    struct flush_position *positions; /* room for part_count */
    struct level_table *tables;       /* room for every table of every rollup */

    bool is_in_flight;
    bool is_subscribed;
    bool must_poll;  /* claim only after Kafka was heard again */
    bool is_claimed; /* parts are claimed and assigned at their positions */
    bool is_draining;
    bool is_done;
    int64_t flush_began_ms; /* -1: at the end of this step */
    int64_t flush_next_ms;  /* not before */
    int64_t claim_next_ms;  /* not before, after a fence or an error */
    int64_t caught_up_next_ms;
    int64_t end_next_ms; /* next look at whether the end is reached */
    struct retry retry;
    int64_t flight_events; /* messages in the flush in flight */

    struct claim_wanted *wanted; /* presumed new and were not; kept until a flush commits */
    int wanted_count;
    int wanted_room;
    struct claim_wanted *presumed; /* presumed new in the flush in flight */
    int presumed_count;
    int presumed_room;

    struct intake_range *ends; /* --until-end: where each partition ended at the start */
    int end_count;

    struct fx_err doubt;           /* why memory must be dropped; code FX_OK: no doubt */
    char trouble[FX_ERR_TEXT_MAX]; /* the last doubt's text */
};

/* compose.c: all that waits, as one flush. Any error means doubt. */
FX_MUST_CHECK enum fx_code compose_flush(struct pipeline *pipeline, struct flush *flush,
                                         struct fx_err *err);

/* compose.c: empties the tables of cells and what was derived from them. */
void compose_reset(struct pipeline *pipeline);

/* compose.c: the store has it all as bytes; what comes next begins with empty tables. */
void compose_sent(struct pipeline *pipeline);
/* arrive.c: one message; an intake_take_cb with a struct pipeline as its context. */
bool arrive_message(void *context, const struct intake_message *message);

/* arrive.c: gets past batches that could not be unpacked, by what unread.h says. */
void arrive_step_over(struct pipeline *pipeline);
int64_t arrive_bookmark(struct part *part); /* of the partition's last record */

/* take.c: the event in the message that is next in part. Any error means doubt. */
FX_MUST_CHECK enum fx_code take_event(struct pipeline *pipeline, struct part *part,
                                      const struct intake_message *message, struct fx_err *err);

/* take.c: tallies for the source and append day what is unusual about one event of this run. */
void take_tally(struct pipeline *pipeline, int index, int64_t append_ms, struct ledger_tally one);

/* take.c: how many more messages surely fit; each takes at most a place of a table. 0: flush. */
int64_t take_room(const struct pipeline *pipeline);

#endif
