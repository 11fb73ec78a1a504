/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush - all that one transaction changes, as the pipeline hands it to the store.
 *
 * Everything is borrowed for the call of store_send, which turns it into bytes at once.
 */
#ifndef FX_FLUSH_H
#define FX_FLUSH_H

#include "../common/digest.h"
#include "ledger.h"
#include "levels.h"
#include "marks.h"
#include "reason.h"

struct flush_position {
    int topic;
    int32_t partition;
    int64_t generation;
    int64_t old_next;
    int64_t new_next;
    int64_t append_high_ms;
    bool has_bookmark;
    int64_t bookmark;
    int64_t caught_up_ms; /* 0: leave it as it is */
};

struct flush_rejected {
    int topic;
    int32_t partition;
    int64_t offset;
    int64_t append_ms;
    enum reason reason;
    char detail[96];
    bool has_envelope;
    char source[65];
    int64_t run;
    int64_t seq;
    uint32_t length;
    uint8_t sha256[DIGEST_SHA256_SIZE];
};

struct flush_hour {
    int topic;
    uint32_t source; /* id in the ledger's names */
    int64_t hour_ms;
    uint32_t slots;
};

/* A day of a run that has ended: its numbers. */
struct flush_day {
    int topic;
    uint32_t source; /* id in the ledger's names */
    int64_t run;
    struct ledger_day day;
    int64_t last;
};

/* What was unusual on a day that has ended. */
struct flush_tally {
    int topic;
    uint32_t source; /* id in the ledger's names */
    struct ledger_tally tally;
};

struct flush_hole {
    int topic;
    int32_t partition;
    int64_t first_offset;
    int64_t last_offset;
};

/* A row of rejected_event that goes: the event counts, or is rejected anew for another reason. */
enum settled { SETTLED_COUNTED, SETTLED_DUPLICATE, SETTLED_ANEW };

struct flush_settled {
    const struct flush_rejected *row; /* as it stands in the table */
    enum settled outcome;
};

struct flush {
    const struct flush_position *positions; /* by topic, partition */
    int position_count;
    struct ledger *ledger;     /* its dirty entries */
    const struct marks *marks; /* those not stored */
    const struct flush_rejected *rejected;
    int rejected_count;
    const struct flush_hour *hours;
    int hour_count;
    const struct flush_hole *holes;
    int hole_count;
    const struct flush_day *days;
    int day_count;
    const struct flush_tally *tallies;
    int tally_count;
    int64_t reported_until_ms;        /* changes to buckets that end by then are corrections */
    const struct level_table *tables; /* sources, towns, counties, cities */
    int table_count;
    const struct region_tree *regions;
    const struct flush_settled *settled; /* each must still stand in the table */
    int settled_count;
};

#endif
