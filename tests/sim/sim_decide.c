/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_decide - what a person decides while workers count: write-offs, a rebuild and a swap.
 *
 * Both are transactions of fx-setup: they wait for whoever holds the rows they need, and give
 * every partition they touched a new generation, so that memory which does not know of them never
 * commits.
 */
#include "sim_redrive.h"

#define REBUILD_ROUNDS_MAX 20000
#define WAITS_PERCENT 50

/* Of the seed, not of the dice: other worlds are what they were. */
bool rebuild_waits(uint64_t seed)
{
    struct dice dice = {~seed * 3};
    return dice_chance(&dice, WAITS_PERCENT);
}

/* Planted bug: who takes itself for a rebuild notes nothing. */
void sim_name_schemas(void)
{
    sim.world.db.is_rebuild = sim.flaw == FLAW_OF_run_home_not_noted;
    sim.next.is_rebuild = true;
}

static bool is_held(bool is_next, int part)
{
    for (int i = 0; i < SIM_BACKENDS; i++) {
        const struct backend *backend = &sim.backends[i];
        bool is_open = backend->is_used && backend->is_open && backend->is_next == is_next;
        for (int p = 0; p < backend->flight.position_count && is_open; p++)
            if (part < 0 || part_index(backend->flight.positions[p].topic,
                                       backend->flight.positions[p].partition) == part)
                return true;
    }
    return false;
}

static void renew(struct db_position *at)
{
    at->generation = (int64_t)dice_u64(&sim.world.dice);
}

/* The part of gap from first to last becomes a gap of its own, given up. */
static void split_gap(struct database *db, int index, int64_t first, int64_t last)
{
    struct db_gap old = db->gaps[index];
    struct db_run *run = &db->runs[old.run];
    db->gaps[index] = (struct db_gap){old.run, first, last, GAP_WRITTEN_OFF};
    struct db_gap rest[2] = {old, old};
    rest[0].last = first - 1;
    rest[1].first = last + 1;
    for (int i = 0; i < 2; i++) {
        if (rest[i].first > rest[i].last)
            continue;
        assert_true(db->gap_count < WORLD_GAPS_MAX);
        db->gaps[db->gap_count++] = rest[i];
        run->gaps++;
    }
}

/* Two ranges given up one after another are one, as a worker would have them. */
static void join_gaps(struct database *db, int run)
{
    for (int i = 0; i < db->gap_count; i++)
        for (int k = 0; k < db->gap_count; k++) {
            struct db_gap *low = &db->gaps[i];
            struct db_gap *high = &db->gaps[k];
            if (low->run != run || high->run != run || low->last + 1 != high->first ||
                low->cause != GAP_WRITTEN_OFF || high->cause != GAP_WRITTEN_OFF)
                continue;
            low->last = high->last;
            *high = db->gaps[--db->gap_count];
            db->runs[run].gaps--;
            i = k = -1;
            break;
        }
}

void sim_write_off(void)
{
    struct dice *dice = &sim.world.dice;
    struct database *db = &sim.world.db;
    if (db->gap_count == 0 || db->write_off_count == WORLD_WRITE_OFFS_MAX)
        return;
    int index = dice_below(dice, db->gap_count);
    struct db_gap gap = db->gaps[index];
    int part = part_index(db->runs[gap.run].topic, db->runs[gap.run].partition);
    if (gap.cause == GAP_WRITTEN_OFF || is_held(false, part))
        return; /* it would wait */
    int64_t first = dice_between(dice, gap.first, gap.last);
    int64_t last = dice_between(dice, first, gap.last);
    split_gap(db, index, first, last);
    join_gaps(db, gap.run);
    db->write_offs[db->write_off_count++] = (struct write_off){gap.run, first, last};
    if (sim.flaw != FLAW_OF_write_off_without_claim)
        renew(&db->positions[part]);
    sim.events[SIM_write_offs]++;
    sim_trace("write_off run=%d first=%" PRId64 " last=%" PRId64, gap.run, first, last);
}

/* The rebuilder has a group of its own and every partition. */
void sim_rebuild(void)
{
    int worker = sim.rebuilder;
    if (sim.is_rebuilt_late)
        return;
    if (sim.world.workers[worker].pipeline == NULL) {
        sim_start(worker);
        worker_assign(&sim.world, worker, WORLD_ALL_PARTS);
    }
    if (sim.turns[worker].frozen > 0) {
        sim.turns[worker].frozen--;
        return;
    }
    enum fx_code code = sim_turn(worker);
    if (code != FX_OK && code != FX_ERETRY)
        fail_msg("the rebuilder stopped: %s", sim.turns[worker].err.text);
    if (!sim.is_calm && dice_chance(&sim.world.dice, 2))
        sim_kill(worker);
}

static void exchange(void)
{
    static struct database kept;
    memcpy(&kept, &sim.next, sizeof kept);
    memcpy(&sim.next, &sim.world.db, sizeof kept);
    memcpy(&sim.world.db, &kept, sizeof kept);
}

/* Planted bug: the names are exchanged under transactions that are on their way. */
static void tear(void)
{
    for (int i = 0; i < SIM_BACKENDS; i++) {
        struct backend *backend = &sim.backends[i];
        struct database *db = sim_database(backend->is_next);
        if (!backend->is_used || !backend->is_open || backend->is_doomed)
            continue;
        for (int p = 0; p < backend->flight.position_count; p++) {
            const struct flush_position *from = &backend->flight.positions[p];
            db->positions[part_index(from->topic, from->partition)].next = from->new_next;
        }
        backend->is_torn = true;
    }
}

static bool is_behind(void)
{
    for (int part = 0; part < WORLD_PARTS; part++) {
        const struct db_position *live = &sim.world.db.positions[part];
        const struct db_position *next = &sim.next.positions[part];
        if (live->is_there && (!next->is_there || next->next < live->next))
            return true;
    }
    return false;
}

/* A gap of the run that the write-off reaches, and how far; false: none is left. */
static bool find_reached(const struct database *db, const struct write_off *one,
                         struct write_off *found)
{
    for (int g = 0; g < db->gap_count; g++) {
        const struct db_gap *gap = &db->gaps[g];
        *found = (struct write_off){g, gap->first > one->first ? gap->first : one->first,
                                    gap->last < one->last ? gap->last : one->last};
        if (gap->run == one->run && gap->cause != GAP_WRITTEN_OFF && found->first <= found->last)
            return true;
    }
    return false;
}

/* What a person decided is in the record schema and holds for both. */
static void apply_write_offs(void)
{
    for (int i = 0; i < sim.world.db.write_off_count; i++) {
        struct write_off one = sim.world.db.write_offs[i];
        struct write_off found;
        const struct db_run *run = &sim.world.db.runs[one.run];
        one.run = db_find_run(&sim.next, run->topic, run->source, run->run);
        while (one.run >= 0 && find_reached(&sim.next, &one, &found))
            split_gap(&sim.next, found.run, found.first, found.last);
        if (one.run < 0 || sim.next.write_off_count == WORLD_WRITE_OFFS_MAX)
            continue;
        join_gaps(&sim.next, one.run);
        sim.next.write_offs[sim.next.write_off_count++] = one;
    }
}

/* Runs live where the schema has them that is the live one now. */
static void hand_on_homes(void)
{
    struct database *db = &sim.world.db;
    for (int i = 0; i < db->rejected_count; i++)
        db_note_home(db, &db->rejected[i]);
    for (int i = 0; i < sim.world.homes.count; i++) {
        struct db_home *home = &sim.world.homes.rows[i];
        int run = db_find_run(db, home->topic, home->source, home->run);
        if (run >= 0)
            home->partition = db->runs[run].partition;
    }
}

void sim_swap(void)
{
    bool has_lock = !is_held(false, -1) && !is_held(true, -1);
    if (sim.rebuilder < 0 || (is_behind() && sim.flaw != FLAW_OF_swap_behind))
        return;
    if (!has_lock && sim.flaw != FLAW_OF_swap_without_lock) {
        sim.events[SIM_swap_waits]++;
        return;
    }
    apply_write_offs();
    if (!has_lock)
        tear();
    exchange();
    sim_name_schemas();
    hand_on_homes();
    for (int part = 0; part < WORLD_PARTS; part++) {
        renew(&sim.world.db.positions[part]);
        renew(&sim.next.positions[part]);
    }
    sim_sync_replica(); /* a person waits until the replica has it */
    sim.events[SIM_swaps]++;
    sim_trace("swap");
}

static bool is_rebuilt(void)
{
    for (int part = 0; part < WORLD_PARTS; part++)
        if (sim.world.logs[part].count > 0 &&
            sim.next.positions[part].next != sim.world.logs[part].end)
            return false;
    return true;
}

/* A run has one home in both schemas, unless the rebuild counted it before the live one rejected an
 * event of it elsewhere. */
static void check_homes(bool is_late)
{
    for (int i = 0; i < sim.next.run_count; i++) {
        const struct db_run *run = &sim.next.runs[i];
        int live = db_find_run(&sim.world.db, run->topic, run->source, run->run);
        if (live < 0)
            fail_msg("run %s:%" PRId64 " is in the rebuild only", run->source, run->run);
        if ((is_late || run->had_home) && sim.world.db.runs[live].partition != run->partition)
            fail_msg("run %s:%" PRId64 " lives in partition %d, in the rebuild in %d", run->source,
                     run->run, (int)sim.world.db.runs[live].partition, (int)run->partition);
    }
}

void sim_rebuild_end(void)
{
    bool is_late = sim.is_rebuilt_late;
    sim.is_rebuilt_late = false;
    for (int round = 0; !is_rebuilt(); round++) {
        if (round == REBUILD_ROUNDS_MAX)
            fail_msg("not rebuilt after %d calm rounds", round);
        sim_rebuild();
        sim_serve();
    }
    sim.events[SIM_rebuilt]++;
    sim_kill(sim.rebuilder);
    for (int round = 0; round < 50; round++)
        sim_serve();
    exchange();
    if (sim.has_redrives)
        redrive_rest();
    world_check(&sim.world);
    exchange();
    check_homes(is_late);
}
