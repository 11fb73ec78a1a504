/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_entry - what the ledger remembers of one run. See ledger.h for the rules.
 */
#ifndef FX_LEDGER_ENTRY_H
#define FX_LEDGER_ENTRY_H

#include "gapset.h"

#define LEDGER_SOURCE_MAX 64
#define LEDGER_NO_DAY INT64_MIN

/* Since the last flush; the database adds them up. */
struct ledger_delta {
    int64_t counted;
    int64_t duplicates;
    int64_t late;
    int64_t clock_corrected;
    int64_t rejected;
};

/* What was unusual on one append day, since the last flush or the change of day. */
struct ledger_tally {
    int64_t day_end_ms; /* the instant behind that day */
    int64_t duplicates;
    int64_t late;
    int64_t clock_corrected;
};

/* The newest day of a run: the numbers from first up to high belong to it. */
struct ledger_day {
    int64_t end_ms; /* the instant behind it, LEDGER_NO_DAY: no number has a day yet */
    int64_t first;
};

struct ledger_entry {
    uint64_t hash;
    int64_t run;
    int64_t high;      /* highest number met */
    int64_t sent_high; /* high as the last flush wrote it: the database's value */
    struct gapset gaps;
    struct ledger_delta delta;
    int64_t last_occurred_ms; /* latest counted time, 0: none */
    int64_t last_appended_ms;
    int64_t opened_ms; /* append time of the first record met, 0: the database knows it */
    struct ledger_day day;
    struct ledger_tally tally;
    int64_t hour_ms;     /* hour that slots belong to */
    uint16_t slots;      /* signs of life not flushed yet, 12 bits */
    uint16_t sent_slots; /* of the same hour, flushed since the claim */
    int32_t heartbeat;   /* index into the ledger's pending heartbeats, -1: none */
    int32_t region;      /* of the latest event counted, an index in the region tree; -1: none */
    int64_t heartbeat_n; /* of the newest heartbeat applied, -1: none */
    uint32_t source;     /* id in names */
    int32_t partition;
    uint16_t topic;
    uint8_t source_size;
    bool is_known; /* the database has a row, or a flush in flight makes it */
    bool is_dirty; /* on the dirty list */
    bool is_quarantined;
    char source_text[LEDGER_SOURCE_MAX];
};

#endif
