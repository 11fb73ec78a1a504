/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store - store.h over tables in memory; a transaction is applied whole or not at all. */
#include "fake_world.h"

enum verdict { APPLIED, REFUSED_FENCED, REFUSED_RUNS, REFUSED_REVERSALS, REFUSED_VALUE };

int db_find_run(const struct database *db, int topic, const char *source, int64_t run)
{
    for (int i = 0; i < db->run_count; i++)
        if (db->runs[i].topic == topic && db->runs[i].run == run &&
            strcmp(db->runs[i].source, source) == 0)
            return i;
    return -1;
}

static int find_own_run(const struct database *db, const struct transaction *flight, int index)
{
    const struct db_run *run = &flight->runs[index];
    return db_find_run(db, run->topic, run->source, run->run);
}

static bool is_reversed(const struct database *db, const struct reversal *one)
{
    for (int i = 0; i < db->reversal_count; i++) {
        const struct reversal *other = &db->reversals[i];
        if (other->topic == one->topic && other->reversed_run == one->reversed_run &&
            other->reversed_seq == one->reversed_seq && strcmp(other->source, one->source) == 0)
            return true;
    }
    return false;
}

/* The first statement of the flush that would fail. */
static enum verdict judge(const struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->position_count; i++) {
        const struct flush_position *to = &flight->positions[i];
        const struct db_position *at = &db->positions[part_index(to->topic, to->partition)];
        if (!at->is_there || at->next != to->old_next || at->generation != to->generation)
            return REFUSED_FENCED;
    }
    for (int i = 0; i < flight->run_count; i++) {
        int found = find_own_run(db, flight, i);
        bool is_same = found >= 0 && db->runs[found].partition == flight->runs[i].partition &&
                       db->runs[found].high == flight->old_high[i];
        if (flight->is_known[i] ? !is_same : found >= 0)
            return REFUSED_RUNS;
    }
    for (int i = 0; i < flight->reversal_count; i++)
        if (is_reversed(db, &flight->reversals[i]))
            return REFUSED_REVERSALS;
    for (int i = 0; i < flight->rollups.count; i++)
        for (int v = 0; v < TABLE_VALUES_MAX; v++)
            if (flight->rollups.rows[i].values[v] == WORLD_POISON)
                return REFUSED_VALUE;
    return APPLIED;
}

static void apply_runs(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->run_count; i++) {
        const struct db_run *from = &flight->runs[i];
        int found = find_own_run(db, flight, i);
        if (found < 0) {
            assert_true(db->run_count < WORLD_RUNS_MAX);
            found = db->run_count++;
            db->runs[found] = (struct db_run){.topic = from->topic,
                                              .partition = from->partition,
                                              .run = from->run,
                                              .heartbeat_n = -1};
            memcpy(db->runs[found].source, from->source, sizeof from->source);
        }
        struct db_run *to = &db->runs[found];
        to->high = from->high;
        to->gaps = from->gaps;
        to->is_quarantined = from->is_quarantined;
        to->sums.counted += from->sums.counted;
        to->sums.duplicates += from->sums.duplicates;
        to->sums.late += from->sums.late;
        to->sums.clock_corrected += from->sums.clock_corrected;
        to->sums.rejected += from->sums.rejected;
        if (from->last_appended_ms > to->last_appended_ms)
            to->last_appended_ms = from->last_appended_ms;
        if (from->heartbeat_n >= 0) {
            to->heartbeat_n = from->heartbeat_n;
            to->acked_seq = from->acked_seq;
        }
    }
}

static int find_gap(const struct database *db, int run, int64_t first)
{
    for (int i = 0; i < db->gap_count; i++)
        if (db->gaps[i].run == run && db->gaps[i].first == first)
            return i;
    return -1;
}

/* Deletes, then inserts; a row that is not there or is there already would be a mistake. */
static void apply_gaps(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->gone_count; i++) {
        int run = find_own_run(db, flight, flight->gone[i].run);
        int found = find_gap(db, run, flight->gone[i].first);
        assert_true(found >= 0);
        db->gaps[found] = db->gaps[--db->gap_count];
    }
    for (int i = 0; i < flight->gap_count; i++) {
        struct db_gap gap = flight->gaps[i];
        gap.run = find_own_run(db, flight, gap.run);
        assert_int_equal(find_gap(db, gap.run, gap.first), -1);
        assert_true(db->gap_count < WORLD_GAPS_MAX);
        db->gaps[db->gap_count++] = gap;
    }
}

static void apply_rejected(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->rejected_count; i++) {
        const struct flush_rejected *row = &flight->rejected[i];
        bool is_there = false;
        for (int k = 0; k < db->rejected_count; k++)
            is_there |= db->rejected[k].topic == row->topic &&
                        db->rejected[k].partition == row->partition &&
                        db->rejected[k].offset == row->offset;
        assert_true(db->rejected_count < WORLD_REJECTED_MAX);
        if (!is_there)
            db->rejected[db->rejected_count++] = *row;
    }
}

static enum verdict db_apply(struct database *db, const struct transaction *flight)
{
    enum verdict verdict = judge(db, flight);
    if (verdict != APPLIED)
        return verdict;
    for (int i = 0; i < flight->position_count; i++) {
        const struct flush_position *from = &flight->positions[i];
        struct db_position *to = &db->positions[part_index(from->topic, from->partition)];
        to->next = from->new_next;
        to->append_high_ms = from->append_high_ms;
        to->has_bookmark = from->has_bookmark;
        to->bookmark = from->bookmark;
        if (from->caught_up_ms > to->caught_up_ms)
            to->caught_up_ms = from->caught_up_ms;
    }
    apply_runs(db, flight);
    apply_gaps(db, flight);
    apply_rejected(db, flight);
    assert_true(db->reversal_count + flight->reversal_count <= WORLD_REVERSALS_MAX);
    for (int i = 0; i < flight->reversal_count; i++)
        db->reversals[db->reversal_count++] = flight->reversals[i];
    assert_true(db->hole_count + flight->hole_count <= WORLD_HOLES_MAX);
    for (int i = 0; i < flight->hole_count; i++)
        db->holes[db->hole_count++] = flight->holes[i];
    for (int i = 0; i < flight->rollups.count; i++)
        table_upsert(&db->rollups, &flight->rollups.rows[i]);
    for (int i = 0; i < flight->hours.count; i++)
        table_row(&db->hours, flight->hours.rows[i].key, NULL)->values[0] |=
            flight->hours.rows[i].values[0];
    db->commits++;
    return APPLIED;
}

static void add_hour(struct transaction *flight, int topic, const char *source, int64_t hour_ms,
                     uint32_t slots)
{
    char key[TABLE_KEY_MAX];
    snprintf(key, sizeof key, "%d|%s|%" PRId64, topic, source, hour_ms);
    table_row(&flight->hours, key, NULL)->values[0] |= slots;
}

static void copy_gaps(struct transaction *flight, const struct gapset *from)
{
    assert_true(flight->gone_count + from->removed_count <= WORLD_GAPS_MAX);
    assert_true(flight->gap_count + from->count <= WORLD_GAPS_MAX);
    for (int i = 0; i < from->removed_count; i++)
        flight->gone[flight->gone_count++] =
            (struct db_gap){.run = flight->run_count, .first = from->removed[i]};
    for (int i = 0; i < from->count; i++)
        if (!from->gaps[i].is_stored)
            flight->gaps[flight->gap_count++] = (struct db_gap){
                flight->run_count, from->gaps[i].first, from->gaps[i].last, from->gaps[i].cause};
}

static void copy_runs(struct transaction *flight, const struct flush *flush)
{
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        const struct ledger_heartbeat *beat = ledger_pending_heartbeat(flush->ledger, dirty[i]);
        assert_true(flight->run_count < WORLD_RUNS_MAX);
        struct db_run *to = &flight->runs[flight->run_count];
        *to = (struct db_run){.topic = entry->topic,
                              .partition = entry->partition,
                              .run = entry->run,
                              .high = entry->high,
                              .sums = entry->delta,
                              .gaps = entry->gaps.count,
                              .is_quarantined = entry->is_quarantined,
                              .last_appended_ms = entry->last_appended_ms,
                              .heartbeat_n = beat == NULL ? -1 : beat->n,
                              .acked_seq = beat == NULL ? 0 : beat->acked_seq};
        memcpy(to->source, entry->source_text, entry->source_size);
        flight->old_high[flight->run_count] = entry->sent_high;
        flight->is_known[flight->run_count] = entry->is_known;
        copy_gaps(flight, &entry->gaps);
        flight->run_count++;
        if (entry->slots != 0)
            add_hour(flight, entry->topic, to->source, entry->hour_ms, entry->slots);
    }
}

static void copy_flush(struct transaction *flight, const struct flush *flush)
{
    struct level_names names = {flush->regions, ledger_names(flush->ledger)};
    table_reset(&flight->rollups);
    table_reset(&flight->hours);
    flight->run_count = flight->gone_count = flight->gap_count = flight->reversal_count = 0;
    flight->position_count = flush->position_count;
    flight->rejected_count = flush->rejected_count;
    flight->hole_count = flush->hole_count;
    assert_in_range(flush->position_count, 1, WORLD_PARTS);
    memcpy(flight->positions, flush->positions,
           (size_t)flush->position_count * sizeof *flush->positions);
    memcpy(flight->rejected, flush->rejected,
           (size_t)flush->rejected_count * sizeof *flush->rejected);
    memcpy(flight->holes, flush->holes, (size_t)flush->hole_count * sizeof *flush->holes);
    for (int i = 0; i < flush->reversals->count; i++)
        if (!flush->reversals->items[i].is_stored)
            flight->reversals[flight->reversal_count++] = flush->reversals->items[i];
    for (int i = 0; i < flush->hour_count; i++)
        add_hour(flight, flush->hours[i].topic, names_text(names.sources, flush->hours[i].source),
                 flush->hours[i].hour_ms, flush->hours[i].slots);
    copy_runs(flight, flush);
    for (int i = 0; i < flush->table_count; i++)
        recount_collect(&flight->rollups, &flush->tables[i], &names);
}

static enum fate next_fate(struct world *world)
{
    if (world->fate_count > 0) {
        enum fate fate = world->fates[0];
        memmove(world->fates, world->fates + 1, sizeof world->fates - sizeof world->fates[0]);
        world->fate_count--;
        return fate;
    }
    return world_roll(world) ? (enum fate)dice_below(&world->dice, FATE_COUNT) : FATE_COMMIT;
}

enum fx_code store_send(struct store *store, const struct flush *flush, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (!store->is_connected)
        return fx_err_set(err, FX_ECLAIM, "flush: no connection");
    store->fate = next_fate(store->world);
    store->conflict = STORE_FENCED;
    if (store->fate == FATE_UNSENT) {
        store->is_connected = false;
        return fx_err_set(err, FX_ECLAIM, "flush: not sent");
    }
    copy_flush(&store->flight, flush);
    store->is_in_flight = true;
    store->polls_left = store->world->polls;
    return FX_OK;
}

/* Keeps the flight for later; one that waits already is given up. */
static void keep_late(struct store *store)
{
    struct world *world = store->world;
    struct transaction *late = &world->late;
    table_release(&late->rollups);
    table_release(&late->hours);
    *late = store->flight;
    memset(&store->flight.rollups, 0, sizeof store->flight.rollups);
    memset(&store->flight.hours, 0, sizeof store->flight.hours);
    world->is_late = true;
}

void store_settle_late(struct world *world)
{
    if (world->is_late)
        (void)db_apply(&world->db, &world->late);
    world->is_late = false;
}

void store_abandon(struct store *store)
{
    if (!store->is_in_flight)
        return;
    int outcome = dice_below(&store->world->dice, 3);
    if (store->is_in_flight && store->fate != FATE_LOST && store->fate != FATE_LOCKED) {
        if (outcome == 0)
            (void)db_apply(&store->world->db, &store->flight);
        if (outcome == 1)
            keep_late(store);
    }
    store->is_in_flight = store->is_connected = false;
}

static enum fx_code answer(struct store *store, enum verdict verdict, bool *is_done,
                           struct fx_err *err)
{
    bool is_heard = store->fate == FATE_COMMIT;
    store->conflict = verdict == REFUSED_RUNS        ? STORE_RUNS
                      : verdict == REFUSED_REVERSALS ? STORE_REVERSALS
                                                     : STORE_FENCED;
    if (verdict == APPLIED && is_heard) {
        *is_done = true;
        return FX_OK;
    }
    store->is_connected = false;
    if (verdict == REFUSED_VALUE)
        return fx_err_set(err, FX_EREFUSED, "flush: a value is refused");
    return fx_err_set(err, FX_ECLAIM, "flush: not committed, or in doubt");
}

enum fx_code store_poll(struct store *store, int timeout_ms, bool *is_done, struct fx_err *err)
{
    assert_true(store->is_in_flight);
    if (timeout_ms == 0 && store->polls_left-- > 0)
        return FX_OK;
    store->is_in_flight = false;
    switch (store->fate) {
    case FATE_COMMIT:
    case FATE_LOST_APPLIED:
        return answer(store, db_apply(&store->world->db, &store->flight), is_done, err);
    case FATE_LATE:
        keep_late(store);
        break;
    case FATE_LOST:
    case FATE_LOCKED:
    case FATE_UNSENT:
    case FATE_COUNT:
        break;
    }
    store->fate = FATE_LOST;
    return answer(store, REFUSED_FENCED, is_done, err);
}

enum store_conflict store_conflict(const struct store *store)
{
    return store->conflict;
}

static void lock_positions(struct database *db, struct claim *claim)
{
    for (int i = 0; i < claim->count; i++) {
        struct claim_partition *part = &claim->partitions[i];
        struct db_position *at = &db->positions[part_index(part->topic, part->partition)];
        if (!at->is_there)
            *at = (struct db_position){.is_there = true,
                                       .base = part->low_offset,
                                       .next = part->low_offset,
                                       .accepted_to = -1};
        at->generation = part->generation;
        part->base_offset = at->base;
        part->next_offset = at->next;
        part->append_high_ms = at->append_high_ms;
        part->has_bookmark = at->has_bookmark;
        part->bookmark = at->bookmark;
        part->accepted_to = at->accepted_to;
    }
}

static bool is_claimed(const struct claim *claim, const struct db_run *run)
{
    for (int i = 0; i < claim->count; i++)
        if (claim->partitions[i].topic == run->topic &&
            claim->partitions[i].partition == run->partition)
            return true;
    return false;
}

static bool is_wanted(const struct claim *claim, const struct db_run *run)
{
    for (int i = 0; i < claim->wanted_count; i++)
        if (claim->wanted[i].topic == run->topic && claim->wanted[i].run == run->run &&
            strcmp(claim->wanted[i].source, run->source) == 0)
            return true;
    return false;
}

/* How many runs of the claimed partitions were appended to after this one. */
static int newer_runs(const struct database *db, const struct claim *claim, int index)
{
    int newer = 0;
    for (int i = 0; i < db->run_count; i++) {
        int64_t ahead_ms = db->runs[i].last_appended_ms - db->runs[index].last_appended_ms;
        newer += is_claimed(claim, &db->runs[i]) && (ahead_ms > 0 || (ahead_ms == 0 && i < index));
    }
    return newer;
}

static int compare_gaps(const void *left, const void *right)
{
    const struct db_gap *a = left;
    const struct db_gap *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

static enum fx_code load_run(struct database *db, int index, struct ledger *ledger,
                             struct fx_err *err)
{
    const struct db_run *run = &db->runs[index];
    struct ledger_key key = {(uint16_t)run->topic, run->run, run->source, strlen(run->source)};
    int entry;
    if (ledger_find(ledger, &key, run->partition, &entry, err) != FX_OK)
        return err->code;
    ledger_load(ledger, entry, run->high, run->partition, run->is_quarantined);
    ledger_entry(ledger, entry)->heartbeat_n = run->heartbeat_n;
    qsort(db->gaps, (size_t)db->gap_count, sizeof db->gaps[0], compare_gaps);
    for (int i = 0; i < db->gap_count && err->code == FX_OK; i++) {
        struct gap gap = {.first = db->gaps[i].first, .last = db->gaps[i].last};
        gap.cause = db->gaps[i].cause;
        if (db->gaps[i].run == index)
            (void)(ledger_load_gap(ledger, entry, &gap, err) == FX_OK);
    }
    return err->code;
}

static enum fx_code load_wanted_reversals(const struct database *db, const struct claim *claim,
                                          struct reversals *reversals, struct fx_err *err)
{
    for (int i = 0; i < db->reversal_count; i++) {
        struct reversal one = db->reversals[i];
        bool is_asked = false;
        one.is_stored = true;
        for (int w = 0; w < claim->wanted_count; w++)
            is_asked |= claim->wanted[w].topic == one.topic &&
                        claim->wanted[w].run == one.reversed_run &&
                        claim->wanted[w].seq == one.reversed_seq &&
                        strcmp(claim->wanted[w].source, one.source) == 0;
        if (is_asked && reversals_add(reversals, &one, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

enum fx_code store_claim(struct store *store, struct claim *claim, struct ledger *ledger,
                         struct reversals *reversals, struct fx_err *err)
{
    struct world *world = store->world;
    struct database *db = &world->db;
    if (store->is_in_flight)
        store_abandon(store);
    assert_int_equal(ledger_count_entries(ledger), 0);
    assert_int_equal(reversals->count, 0);
    if (world->claim_failures > 0 || world_roll(world)) {
        world->claim_failures -= world->claim_failures > 0;
        store->is_connected = false;
        return fx_err_set(err, FX_ERETRY, "claim: no connection");
    }
    if (world->is_redefined)
        return fx_err_set(err, FX_ECONFIG, "the definitions are not the same");
    store->is_connected = true;
    lock_positions(db, claim);
    claim->accept_simulated = world->accept_simulated;
    for (int i = 0; i < db->run_count; i++) {
        bool is_recent =
            is_claimed(claim, &db->runs[i]) && newer_runs(db, claim, i) < claim->runs_max;
        if ((is_recent || is_wanted(claim, &db->runs[i])) && load_run(db, i, ledger, err) != FX_OK)
            return err->code;
    }
    return load_wanted_reversals(db, claim, reversals, err);
}

enum fx_code store_load_regions(struct store *store, struct region_tree *tree, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (world_roll(store->world))
        return fx_err_set(err, FX_ERETRY, "regions: no connection");
    for (int i = 0; i < store->world->region_count; i++)
        kinds_add_region(tree, kinds_regions[i]);
    return FX_OK;
}

enum fx_code store_reached(struct store *store, const struct intake_range *ends, int count,
                           bool *is_reached, struct fx_err *err)
{
    assert_false(store->is_in_flight);
    if (world_roll(store->world)) {
        store->is_connected = false;
        return fx_err_set(err, FX_ERETRY, "reached: no connection");
    }
    *is_reached = true;
    for (int i = 0; i < count; i++) {
        const struct db_position *at =
            &store->world->db.positions[part_index(ends[i].topic, ends[i].partition)];
        *is_reached &= ends[i].high <= (at->is_there ? at->next : 0);
    }
    return FX_OK;
}
