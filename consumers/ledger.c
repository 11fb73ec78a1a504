/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include "../common/day.h"
#include "../common/hash.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 1024
#define SLOT_MINUTES 5

struct slot {
    uint32_t tag;   /* high half of the hash: most misses end here */
    uint32_t entry; /* index + 1, 0: free */
};

struct ledger {
    uint64_t seed;
    int entries_max;
    struct ledger_entry *entries;
    int count;
    int room;
    struct slot *slots;
    uint32_t slot_count; /* a power of two, at least twice count */
    int *dirty;
    int dirty_count;
    struct ledger_heartbeat *heartbeats;
    int heartbeat_count;
    int heartbeat_room;
    struct names *names;
};

enum fx_code ledger_open(int entries_max, uint64_t seed, struct ledger **ledger, struct fx_err *err)
{
    fx_assert(entries_max > 0);
    struct ledger *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a ledger");
    fresh->seed = seed;
    fresh->entries_max = entries_max;
    fresh->slot_count = SLOTS_MIN;
    fresh->slots = calloc(SLOTS_MIN, sizeof *fresh->slots);
    if (fresh->slots == NULL)
        fx_err_set(err, FX_EMEMORY, "no memory for a ledger");
    else if (names_open(seed, &fresh->names, err) == FX_OK)
        *ledger = fresh;
    if (err->code != FX_OK)
        ledger_close(fresh);
    return err->code;
}

void ledger_reset(struct ledger *ledger)
{
    for (int i = 0; i < ledger->count; i++)
        gapset_release(&ledger->entries[i].gaps);
    ledger->count = 0;
    ledger->dirty_count = 0;
    ledger->heartbeat_count = 0;
    memset(ledger->slots, 0, ledger->slot_count * sizeof *ledger->slots);
    names_reset(ledger->names);
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (int i = 0; i < ledger->count; i++)
        gapset_release(&ledger->entries[i].gaps);
    names_close(ledger->names);
    free(ledger->entries);
    free(ledger->slots);
    free(ledger->dirty);
    free(ledger->heartbeats);
    free(ledger);
}

static uint64_t hash_key(const struct ledger *ledger, const struct ledger_key *key)
{
    uint64_t run_hash = hash_u64((uint64_t)key->run, ledger->seed + key->topic);
    return hash_bytes(key->source, key->source_size, run_hash);
}

/* As memcmp, by words that overlap at the end: its call takes as long as the rest of a look-up. */
static bool is_same(const char *left, const char *right, size_t size)
{
    const uint8_t *a = (const uint8_t *)left;
    const uint8_t *b = (const uint8_t *)right;
    if (size < 8)
        return hash_short(a, size) == hash_short(b, size);
    uint64_t differing = hash_load(a + size - 8) ^ hash_load(b + size - 8);
    for (; size > 8; size -= 8, a += 8, b += 8)
        differing |= hash_load(a) ^ hash_load(b);
    return differing == 0;
}

static bool is_entry_of(const struct ledger_entry *entry, const struct ledger_key *key)
{
    return entry->run == key->run && entry->topic == key->topic &&
           entry->source_size == key->source_size &&
           is_same(entry->source_text, key->source, key->source_size);
}

static uint32_t find_slot(const struct ledger *ledger, const struct ledger_key *key, uint64_t hash)
{
    uint32_t mask = ledger->slot_count - 1;
    uint32_t tag = (uint32_t)(hash >> 32);
    uint32_t at = (uint32_t)hash & mask;
    for (; ledger->slots[at].entry != 0; at = (at + 1) & mask) {
        const struct slot *slot = &ledger->slots[at];
        if (slot->tag == tag && is_entry_of(&ledger->entries[slot->entry - 1], key))
            break;
    }
    return at;
}

static enum fx_code grow_entries(struct ledger *ledger, struct fx_err *err)
{
    int room = ledger->room == 0 ? 64 : ledger->room * 2;
    int *dirty = realloc(ledger->dirty, (size_t)room * sizeof *dirty);
    if (dirty != NULL)
        ledger->dirty = dirty;
    struct ledger_entry *entries = realloc(ledger->entries, (size_t)room * sizeof *entries);
    if (entries != NULL)
        ledger->entries = entries;
    if (dirty == NULL || entries == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d runs", room);
    ledger->room = room;
    return FX_OK;
}

static enum fx_code grow_slots(struct ledger *ledger, struct fx_err *err)
{
    struct slot *fresh = calloc((size_t)ledger->slot_count * 2, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d runs", ledger->count);
    free(ledger->slots);
    ledger->slots = fresh;
    ledger->slot_count *= 2;
    uint32_t mask = ledger->slot_count - 1;
    for (int i = 0; i < ledger->count; i++) {
        uint64_t hash = ledger->entries[i].hash;
        uint32_t at = (uint32_t)hash & mask;
        while (fresh[at].entry != 0)
            at = (at + 1) & mask;
        fresh[at] = (struct slot){(uint32_t)(hash >> 32), (uint32_t)i + 1};
    }
    return FX_OK;
}

/* A new entry, presumed new. */
static enum fx_code add_entry(struct ledger *ledger, const struct ledger_key *key, uint64_t hash,
                              int32_t partition, struct fx_err *err)
{
    if (ledger->count == ledger->entries_max)
        return fx_err_set(err, FX_EFULL, "%d runs in memory", ledger->count);
    if (ledger->count == ledger->room && grow_entries(ledger, err) != FX_OK)
        return err->code;
    if ((uint32_t)(ledger->count + 1) * 2 > ledger->slot_count && grow_slots(ledger, err) != FX_OK)
        return err->code;
    uint32_t source;
    if (names_intern(ledger->names, key->source, key->source_size, &source, err) != FX_OK)
        return err->code;
    struct ledger_entry *entry = &ledger->entries[ledger->count];
    memset(entry, 0, sizeof *entry);
    entry->hash = hash;
    entry->run = key->run;
    entry->topic = key->topic;
    entry->partition = partition;
    entry->source = source;
    entry->heartbeat = -1;
    entry->heartbeat_n = -1;
    entry->region = -1;
    entry->day.end_ms = LEDGER_NO_DAY;
    entry->source_size = (uint8_t)key->source_size;
    memcpy(entry->source_text, key->source, key->source_size);
    ledger->count++;
    struct slot *slot = &ledger->slots[find_slot(ledger, key, hash)];
    *slot = (struct slot){(uint32_t)(hash >> 32), (uint32_t)ledger->count};
    return FX_OK;
}

enum fx_code ledger_find(struct ledger *ledger, const struct ledger_key *key, int32_t partition,
                         int *index, struct fx_err *err)
{
    fx_assert(key->source_size <= LEDGER_SOURCE_MAX);
    uint64_t hash = hash_key(ledger, key);
    uint32_t found = ledger->slots[find_slot(ledger, key, hash)].entry;
    if (found == 0) {
        if (add_entry(ledger, key, hash, partition, err) != FX_OK)
            return err->code;
        found = (uint32_t)ledger->count;
    }
    *index = (int)found - 1;
    return FX_OK;
}

int ledger_lookup(const struct ledger *ledger, const struct ledger_key *key)
{
    return (int)ledger->slots[find_slot(ledger, key, hash_key(ledger, key))].entry - 1;
}

struct ledger_entry *ledger_entry(struct ledger *ledger, int index)
{
    fx_assert(index >= 0 && index < ledger->count);
    return &ledger->entries[index];
}

int ledger_count_entries(const struct ledger *ledger)
{
    return ledger->count;
}

int ledger_room(const struct ledger *ledger)
{
    return ledger->entries_max - ledger->count;
}

static void mark_dirty(struct ledger *ledger, int index)
{
    struct ledger_entry *entry = &ledger->entries[index];
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    ledger->dirty[ledger->dirty_count++] = index;
}

/* How many more ranges the run would have. */
static int more_gaps(const struct ledger_entry *entry, int64_t seq, bool is_rejected)
{
    if (seq > entry->high)
        return (seq > entry->high + 1) + is_rejected;
    int at = gapset_find(&entry->gaps, seq);
    if (at < 0)
        return 0;
    const struct gap *gap = &entry->gaps.gaps[at];
    if (is_rejected && gap->cause == GAP_REJECTED)
        return 0;
    return (gap->first < seq) + (seq < gap->last) - 1 + is_rejected;
}

enum ledger_verdict ledger_judge(const struct ledger_entry *entry, int32_t partition, int64_t seq,
                                 bool is_rejected)
{
    if (entry->partition != partition)
        return LEDGER_MOVED;
    if (entry->is_quarantined)
        return LEDGER_QUARANTINED;
    if (seq - entry->high > LEDGER_JUMP_MAX)
        return LEDGER_JUMP;
    if (seq <= entry->high && gapset_find(&entry->gaps, seq) < 0)
        return LEDGER_DUPLICATE;
    if (seq == entry->high + 1 && !is_rejected)
        return LEDGER_NEW;
    int gaps = entry->gaps.count + more_gaps(entry, seq, is_rejected);
    return gaps <= LEDGER_GAPS_MAX ? LEDGER_NEW : LEDGER_QUARANTINED;
}

/* The numbers between high and seq are not there: a gap, if there are any. */
static enum fx_code open_gap(struct ledger_entry *entry, int64_t seq, const struct gap *gap,
                             struct fx_err *err)
{
    if (seq <= entry->high + 1)
        return FX_OK;
    struct gap fresh = *gap;
    fresh.first = entry->high + 1;
    fresh.last = seq - 1;
    return gapset_open(&entry->gaps, &fresh, err);
}

enum fx_code ledger_count(struct ledger *ledger, int index, int64_t seq, const struct gap *gap,
                          struct fx_err *err)
{
    struct ledger_entry *entry = &ledger->entries[index];
    if (seq > entry->high) {
        if (open_gap(entry, seq, gap, err) != FX_OK)
            return err->code;
        entry->high = seq;
    } else {
        int at = gapset_find(&entry->gaps, seq);
        fx_assert(at >= 0);
        if (gapset_take(&entry->gaps, at, seq, err) != FX_OK)
            return err->code;
    }
    entry->delta.counted++;
    mark_dirty(ledger, index);
    return FX_OK;
}

enum fx_code ledger_reject(struct ledger *ledger, int index, int64_t seq, const struct gap *gap,
                           struct fx_err *err)
{
    struct ledger_entry *entry = &ledger->entries[index];
    struct gap one = {.first = seq, .last = seq, .opened_ms = gap->opened_ms};
    one.cause = GAP_REJECTED;
    int at = gapset_find(&entry->gaps, seq);
    if (seq > entry->high) {
        if (open_gap(entry, seq, gap, err) != FX_OK)
            return err->code;
        entry->high = seq - 1; /* whole again, should the next step fail */
        if (gapset_open(&entry->gaps, &one, err) != FX_OK) {
            mark_dirty(ledger, index);
            return err->code;
        }
        entry->high = seq;
    } else if (at >= 0 && gapset_mark(&entry->gaps, at, &one, err) != FX_OK) {
        return err->code;
    }
    entry->delta.rejected++;
    mark_dirty(ledger, index);
    return FX_OK;
}

static bool is_empty(const struct ledger_tally *tally)
{
    return tally->duplicates == 0 && tally->late == 0 && tally->clock_corrected == 0;
}

bool ledger_tally(struct ledger *ledger, int index, const struct ledger_tally *one,
                  struct ledger_tally *spilled)
{
    struct ledger_entry *entry = &ledger->entries[index];
    struct ledger_tally *tally = &entry->tally;
    bool is_spilled = tally->day_end_ms != one->day_end_ms && !is_empty(tally);
    if (is_spilled)
        *spilled = *tally;
    if (tally->day_end_ms != one->day_end_ms)
        *tally = (struct ledger_tally){one->day_end_ms, 0, 0, 0};
    tally->duplicates += one->duplicates;
    tally->late += one->late;
    tally->clock_corrected += one->clock_corrected;
    entry->delta.duplicates += one->duplicates;
    entry->delta.late += one->late;
    entry->delta.clock_corrected += one->clock_corrected;
    mark_dirty(ledger, index);
    return is_spilled;
}

bool ledger_date(struct ledger *ledger, int index, int64_t instant_ms, struct ledger_day *closed)
{
    struct ledger_entry *entry = &ledger->entries[index];
    bool has_day = entry->day.end_ms != LEDGER_NO_DAY;
    if (has_day && instant_ms < entry->day.end_ms)
        return false;
    bool is_closed = has_day && entry->high >= entry->day.first;
    *closed = entry->day;
    entry->day.end_ms = day_local_start_ms(instant_ms) + DAY_MS;
    entry->day.first = entry->high + 1;
    return is_closed;
}

void ledger_quarantine(struct ledger *ledger, int index)
{
    ledger->entries[index].is_quarantined = true;
    mark_dirty(ledger, index);
}

bool ledger_sign_of_life(struct ledger *ledger, int index, int64_t instant_ms,
                         int64_t *spilled_hour_ms, uint32_t *spilled_slots)
{
    struct ledger_entry *entry = &ledger->entries[index];
    int64_t into_hour_ms = instant_ms - entry->hour_ms;
    bool is_same = true;
    if (into_hour_ms < 0 || into_hour_ms >= DAY_HOUR_MS) {
        is_same = entry->slots == 0;
        *spilled_hour_ms = entry->hour_ms;
        *spilled_slots = entry->slots;
        entry->hour_ms = day_bucket_ms(instant_ms, DAY_HOUR_MS);
        entry->slots = entry->sent_slots = 0;
        into_hour_ms = instant_ms - entry->hour_ms;
    }
    unsigned slot = 1u << (into_hour_ms / (SLOT_MINUTES * INT64_C(60000)));
    entry->slots |= (uint16_t)(slot & ~(unsigned)entry->sent_slots);
    mark_dirty(ledger, index);
    return is_same;
}

/* Keeps heartbeat to be flushed, in place of an older one of the same run. */
static enum fx_code keep_heartbeat(struct ledger *ledger, struct ledger_entry *entry,
                                   const struct ledger_heartbeat *heartbeat, struct fx_err *err)
{
    if (entry->heartbeat < 0) {
        if (ledger->heartbeat_count == ledger->heartbeat_room) {
            int room = ledger->heartbeat_room == 0 ? 16 : ledger->heartbeat_room * 2;
            struct ledger_heartbeat *more =
                realloc(ledger->heartbeats, (size_t)room * sizeof *more);
            if (more == NULL)
                return fx_err_set(err, FX_EMEMORY, "no memory for %d heartbeats", room);
            ledger->heartbeats = more;
            ledger->heartbeat_room = room;
        }
        entry->heartbeat = ledger->heartbeat_count++;
        ledger->heartbeats[entry->heartbeat].state = HEARTBEAT_OPEN;
    }
    heartbeat_replace(&ledger->heartbeats[entry->heartbeat], heartbeat);
    return FX_OK;
}

/* NULL: what beat says can be true of the run, and its gap is not one too many. */
static const char *objection(const struct ledger_entry *entry, const struct ledger_heartbeat *beat)
{
    if (beat->acked_seq > entry->high && entry->gaps.count >= LEDGER_GAPS_MAX)
        return "acked_seq opens a gap too many";
    return heartbeat_objection(beat, entry->high);
}

/*
 * A post on a full disk goes on to say that it lives, but cannot write how often it did; after a
 * restart its n begins lower. What it says to be acknowledged is true all the same, and nothing
 * older tells of more.
 */
static bool is_older(const struct ledger_entry *entry, const struct ledger_heartbeat *heartbeat)
{
    return heartbeat->n < entry->heartbeat_n && heartbeat->acked_seq <= entry->high;
}

bool ledger_heartbeat_raises(const struct ledger_entry *entry,
                             const struct ledger_heartbeat *heartbeat)
{
    return heartbeat->acked_seq > entry->high && objection(entry, heartbeat) == NULL;
}

enum fx_code ledger_apply_heartbeat(struct ledger *ledger, int index,
                                    const struct ledger_heartbeat *heartbeat, const struct gap *gap,
                                    struct fx_err *err)
{
    struct ledger_entry *entry = &ledger->entries[index];
    if (is_older(entry, heartbeat))
        return FX_OK;
    const char *reason = objection(entry, heartbeat);
    if (reason != NULL)
        return fx_err_set(err, FX_EFULL, "%s", reason);
    if (heartbeat->acked_seq > entry->high) {
        if (open_gap(entry, heartbeat->acked_seq + 1, gap, err) != FX_OK)
            return err->code;
        entry->high = heartbeat->acked_seq;
        mark_dirty(ledger, index);
    }
    if (keep_heartbeat(ledger, entry, heartbeat, err) != FX_OK)
        return err->code;
    entry->heartbeat_n = heartbeat->n;
    mark_dirty(ledger, index);
    return FX_OK;
}

const int *ledger_dirty(const struct ledger *ledger, int *count)
{
    *count = ledger->dirty_count;
    return ledger->dirty;
}

const struct ledger_heartbeat *ledger_pending_heartbeat(const struct ledger *ledger, int index)
{
    int at = ledger->entries[index].heartbeat;
    return at < 0 ? NULL : &ledger->heartbeats[at];
}

void ledger_sent(struct ledger *ledger)
{
    for (int i = 0; i < ledger->dirty_count; i++) {
        struct ledger_entry *entry = &ledger->entries[ledger->dirty[i]];
        entry->sent_high = entry->high;
        entry->delta = (struct ledger_delta){0, 0, 0, 0, 0};
        entry->tally = (struct ledger_tally){0, 0, 0, 0};
        entry->sent_slots |= entry->slots;
        entry->slots = 0;
        entry->heartbeat = -1;
        entry->is_known = true;
        entry->is_dirty = false;
        gapset_stored(&entry->gaps);
    }
    ledger->dirty_count = 0;
    ledger->heartbeat_count = 0;
}

void ledger_load(struct ledger *ledger, int index, int64_t high, int32_t partition,
                 bool is_quarantined)
{
    struct ledger_entry *entry = &ledger->entries[index];
    entry->high = entry->sent_high = high;
    entry->partition = partition;
    entry->is_quarantined = is_quarantined;
    entry->is_known = true;
}

enum fx_code ledger_load_gap(struct ledger *ledger, int index, const struct gap *gap,
                             struct fx_err *err)
{
    return gapset_load(&ledger->entries[index].gaps, gap, err);
}

const struct names *ledger_names(const struct ledger *ledger)
{
    return ledger->names;
}
