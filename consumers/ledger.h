/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - which numbers of which source's run are counted.
 *
 * One entry per (topic, source, run). The rule, for number s of a run whose highest is h:
 *   s = h + 1                 count it
 *   s > h + 1                 open the gap [h + 1, s - 1], count it
 *   s <= h, inside a gap      shrink or split the gap, count it
 *   s <= h, in no gap         a duplicate: tally it, drop it
 * Invariant: counted + sum of gaps = high, in every entry at every return.
 *
 * The table source_ledger is the authority and this memory is a cache of it: a run not in memory
 * is presumed new (is_known false) and the flush finds out. Entries of many partitions live side
 * by side; the caller forgets all of them at any doubt (ledger_reset).
 *
 * Pure. Limits: LEDGER_GAPS_MAX gaps per run, then it is quarantined; LEDGER_JUMP_MAX numbers at
 * one jump; LEDGER_TOLD_MAX for what a heartbeat tells of without our having met it, so that the
 * sum over a million sources is a bigint; entries_max, then FX_EFULL. Pointers to entries are good
 * until the next ledger_find.
 */
#ifndef FX_LEDGER_H
#define FX_LEDGER_H

#include "heartbeat.h"
#include "ledger_entry.h"
#include "names.h"

#define LEDGER_GAPS_MAX 16384
#define LEDGER_JUMP_MAX INT64_C(1000000000)
#define LEDGER_TOLD_MAX INT64_C(1000000000000)

struct ledger_key {
    uint16_t topic;
    int64_t run;
    const char *source; /* not terminated */
    size_t source_size;
};

/* What a number is to a run, were it counted or rejected. */
enum ledger_verdict {
    LEDGER_NEW,         /* not counted yet: go on, then ledger_count or ledger_reject */
    LEDGER_DUPLICATE,   /* counted before */
    LEDGER_JUMP,        /* further than LEDGER_JUMP_MAX */
    LEDGER_QUARANTINED, /* the run has too many gaps, or would have */
    LEDGER_MOVED        /* the run lives in another partition */
};

struct ledger;

FX_MUST_CHECK enum fx_code ledger_open(int entries_max, uint64_t seed, struct ledger **ledger,
                                       struct fx_err *err);
void ledger_close(struct ledger *ledger);

void ledger_reset(struct ledger *ledger); /* forgets everything, names included */

/*
 * The index of the entry of key, made and presumed new if there is none.
 * FX_EFULL: entries_max reached; flush, then ledger_reset. FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code ledger_find(struct ledger *ledger, const struct ledger_key *key,
                                       int32_t partition, int *index, struct fx_err *err);

/* The index of the entry of key, -1 if there is none. */
int ledger_lookup(const struct ledger *ledger, const struct ledger_key *key);
struct ledger_entry *ledger_entry(struct ledger *ledger, int index);
int ledger_count_entries(const struct ledger *ledger);
int ledger_room(const struct ledger *ledger); /* how many more entries fit */

enum ledger_verdict ledger_judge(const struct ledger_entry *entry, int32_t partition, int64_t seq,
                                 bool is_rejected);

/*
 * Counts number seq, judged LEDGER_NEW. gap carries cause and opened_ms for the gap this may
 * open. FX_EMEMORY: nothing changed.
 */
FX_MUST_CHECK enum fx_code ledger_count(struct ledger *ledger, int index, int64_t seq,
                                        const struct gap *gap, struct fx_err *err);

/*
 * Records that seq, judged LEDGER_NEW or LEDGER_DUPLICATE, was rejected: an uncounted number goes
 * into a gap of cause rejected, a counted one stays counted. FX_EMEMORY: seq is as it was; numbers
 * before it may be known as missing now.
 */
FX_MUST_CHECK enum fx_code ledger_reject(struct ledger *ledger, int index, int64_t seq,
                                         const struct gap *gap, struct fx_err *err);

/*
 * Tallies what is unusual about one event: one holds the day it was appended on and ones. true:
 * another day's tally must be flushed first; it is handed out through *spilled and replaced.
 */
bool ledger_tally(struct ledger *ledger, int index, const struct ledger_tally *one,
                  struct ledger_tally *spilled);

/*
 * Numbers above high are about to be met at instant_ms: they belong to its day (reporting zone),
 * or to the run's newest day if that is later. A missing number has no time of its own; it
 * belongs to the first day by whose end it was known to exist. true: the day before is closed; it
 * is handed out through *closed, with high as its last number.
 */
bool ledger_date(struct ledger *ledger, int index, int64_t instant_ms, struct ledger_day *closed);

/* Every later event of the run is rejected, until a person releases it. */
void ledger_quarantine(struct ledger *ledger, int index);

/* A sign of life at instant_ms; what is in the database already is not flushed again. false:
 * another hour's slots must be flushed first (they are handed out through *spilled_hour_ms and
 * *spilled_slots and replaced). */
bool ledger_sign_of_life(struct ledger *ledger, int index, int64_t instant_ms,
                         int64_t *spilled_hour_ms, uint32_t *spilled_slots);

/*
 * Applies a heartbeat unless a newer one was applied: one with a higher n, unless this one's
 * acked_seq is above all that is known of the run. Numbers up to acked_seq that were not met were
 * acknowledged by the broker before the heartbeat was written behind them: they are missing, and a
 * gap is opened. Numbers above, up to last_seq, are only announced. gap carries cause and opened_ms
 * for the gap this may open.
 * FX_EFULL: the gap would be one too many or too long, or a number is beyond the limits above; err
 * says which, and nothing changed: reject the heartbeat. FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code ledger_apply_heartbeat(struct ledger *ledger, int index,
                                                  const struct ledger_heartbeat *heartbeat,
                                                  const struct gap *gap, struct fx_err *err);

/* Whether heartbeat would raise high, and would not be one gap too many or too long: what may be
 * dated before it is applied. */
bool ledger_heartbeat_raises(const struct ledger_entry *entry,
                             const struct ledger_heartbeat *heartbeat);

/* Entries that changed since the last ledger_sent, in no order. */
const int *ledger_dirty(const struct ledger *ledger, int *count);
const struct ledger_heartbeat *ledger_pending_heartbeat(const struct ledger *ledger, int index);
void ledger_sent(struct ledger *ledger); /* a flush took all changes */

/* A row of the database for the entry at index, then its gaps in order. */
void ledger_load(struct ledger *ledger, int index, int64_t high, int32_t partition,
                 bool is_quarantined);
FX_MUST_CHECK enum fx_code ledger_load_gap(struct ledger *ledger, int index, const struct gap *gap,
                                           struct fx_err *err);

const struct names *ledger_names(const struct ledger *ledger);

#endif
