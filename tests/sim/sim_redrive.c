/* SPDX-License-Identifier: Apache-2.0 */
/* sim_redrive - fx-rollup --redrive among the workers. */
#include "sim_redrive.h"

#define store_list_rejected fake_list_rejected
#include "../unit/fake_redrive.c"
#undef store_list_rejected

#include "../../consumers/redrive.h"

#define WORLDS_PERCENT 22
#define REST_ROUNDS_MAX 20000

static struct redrive *redrivers[SIM_REDRIVERS]; /* NULL: not there */

/* Of the seed, not of the dice: other worlds are what they were. */
bool redrive_happens(uint64_t seed)
{
    struct dice dice = {~seed};
    return dice_chance(&dice, WORLDS_PERCENT);
}

static int slot_of(const struct store *store)
{
    for (int i = SIM_WORKERS; i < WORLD_WORKERS; i++)
        if (&sim.world.workers[i].store == store)
            return i;
    fail_msg("a store of no re-driver");
    return -1;
}

enum fx_code store_list_rejected(struct store *store, struct rejected_list *list,
                                 struct fx_err *err)
{
    sim_point(slot_of(store));
    enum fx_code code = fake_list_rejected(store, list, err);
    sim_point(slot_of(store));
    return code;
}

static enum fx_code open_one(int index, enum reason reason, struct fx_err *err)
{
    static const char *const topics[TOPICS] = {"t.0", "t.1"};
    struct worker *one = &sim.world.workers[SIM_WORKERS + index];
    memset(&one->intake, 0, sizeof one->intake);
    memset(&one->store, 0, offsetof(struct store, flight));
    one->intake.world = one->store.world = &sim.world;
    struct redrive_options options = {.catalog = sim.world.catalog,
                                      .topics = topics,
                                      .intake = &one->intake,
                                      .store = &one->store,
                                      .seed = dice_u64(&sim.world.dice),
                                      .bytes_max = sim.world.bytes_max,
                                      .reason = reason};
    return redrive_open(&options, &redrivers[index], err);
}

static void start(int index, enum reason reason)
{
    struct fx_err err = FX_ERR_INIT;
    int64_t every = sim.alloc_every;
    sim_reset_turn(SIM_WORKERS + index);
    if (!sim.is_calm && dice_chance(&sim.world.dice, 5)) { /* out of memory, perhaps */
        sim.alloc_every = 1 + dice_below(&sim.world.dice, 60);
        sim.running = SIM_WORKERS + index;
    }
    enum fx_code code = open_one(index, reason, &err);
    sim.running = -1;
    sim.alloc_every = every;
    if (code != FX_OK)
        assert_int_equal(code, FX_EMEMORY);
    sim.events[SIM_unopened] += code != FX_OK;
    sim_trace("redrive=%d reason=%s code=%s", index, reason_name(reason), fx_code_name(code));
}

static void stop(int index)
{
    if (redrivers[index] == NULL)
        return;
    sim_kill(SIM_WORKERS + index);
    redrive_close(redrivers[index]);
    redrivers[index] = NULL;
}

void redrive_kill(void)
{
    for (int i = 0; i < SIM_REDRIVERS; i++)
        stop(i);
}

enum fx_code redrive_turn(int worker, int64_t now_ms, struct fx_err *err)
{
    return redrive_step(redrivers[worker - SIM_WORKERS], now_ms, 100, err);
}

/* true: it has come to its end. */
static bool go_on(int index)
{
    struct turn *turn = &sim.turns[SIM_WORKERS + index];
    if (turn->frozen > 0) {
        turn->frozen--;
        return false;
    }
    if (sim_turn(SIM_WORKERS + index) != FX_OK)
        fail_msg("re-driver %d stopped: %s", index, turn->err.text);
    if (turn->is_inside || !redrive_is_done(redrivers[index]))
        return false;
    sim.events[SIM_redrives]++;
    stop(index);
    return true;
}

void redrive_some(void)
{
    for (int i = 0; i < SIM_REDRIVERS; i++)
        if (redrivers[i] != NULL && dice_chance(&sim.world.dice, 60))
            (void)go_on(i);
}

void redrive_disturb(void)
{
    struct dice *dice = &sim.world.dice;
    int index = dice_chance(dice, 25);
    bool is_all = dice_chance(dice, 60);
    if (redrivers[index] != NULL && dice_chance(dice, 30))
        redrive_drain(redrivers[index]);
    else if (redrivers[index] == NULL || dice_chance(dice, 50)) {
        stop(index);
        start(index, is_all ? REASON_COUNT : (enum reason)dice_below(dice, REASON_COUNT));
    }
}

void redrive_note(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->settled_count; i++) {
        const struct flush_rejected *row = &flight->settled[i];
        int part = part_index(row->topic, row->partition);
        assert_true(db->settled_count < WORLD_SETTLED_MAX);
        db->settled[db->settled_count++] = (struct db_settled){
            .part = part,
            .offset = row->offset,
            .next = db->positions[part].next,
            .reason = row->reason,
            .is_tallied = row->has_envelope && reason_is_trusted(row->reason),
            .outcome = flight->outcomes[i],
            .knows_region = sim.world.region_count == KINDS_REGIONS,
            .accepts_simulated = sim.world.accept_simulated,
            .commit = db->commits,
        };
    }
    sim.events[SIM_redriven] += flight->settled_count;
}

static const struct saying *said_in(const struct flush_rejected *row)
{
    const struct log *log = &sim.world.logs[part_index(row->topic, row->partition)];
    int i = 0;
    while (log->records[i].offset != row->offset)
        i++;
    return &log->records[i].saying;
}

/* What its row was made for is mended, unless something else stands against it. */
static void check_left(const struct flush_rejected *row)
{
    const struct database *db = &sim.world.db;
    const struct saying *saying = said_in(row);
    int run = db_find_run(db, saying->topic, saying->source, saying->run);
    bool is_moved = run >= 0 && db->runs[run].partition != row->partition;
    bool is_mended = row->reason == REASON_SIMULATED ||
                     (row->reason == REASON_UNKNOWN_REGION && strcmp(saying->region, "NOWHERE"));
    if (is_mended && !is_moved)
        fail_msg("topic %d partition %d offset %" PRId64 " is still rejected: %s", row->topic,
                 (int)row->partition, row->offset, reason_name(row->reason));
}

static void turn_others(void)
{
    if (dice_chance(&sim.world.dice, 30))
        (void)sim_turn(dice_below(&sim.world.dice, sim.worker_count));
    sim_serve();
}

/* It waits for what is on its way. */
static void mend_all(void)
{
    for (int round = 0; !sim.world.accept_simulated || sim.world.region_count < KINDS_REGIONS;
         round++) {
        if (round == REST_ROUNDS_MAX)
            fail_msg("nothing mended after %d calm rounds", round);
        sim_add_region();
        sim_accept_simulated();
        turn_others();
        if (sim.rebuilder >= 0)
            sim_rebuild();
    }
}

static bool is_uncounted(int run, int64_t seq)
{
    const struct database *db = &sim.world.db;
    for (int i = 0; i < db->gap_count; i++)
        if (db->gaps[i].run == run && db->gaps[i].first <= seq && seq <= db->gaps[i].last)
            return true;
    return db->runs[run].high < seq;
}

/* A good event has counted where its run lives, whenever it came: as in a schema that knew all that
 * was mended from the beginning. Of reversals, only the first that comes counts. */
static void check_counted(int part, const struct record *record)
{
    const struct saying *saying = &record->saying;
    bool is_good = record->flaw == FLAW_NONE && !saying->is_heartbeat && saying->sign > 0 &&
                   strcmp(saying->region, "NOWHERE") != 0 &&
                   (saying->topic != TOPIC_GATE || saying->persons != WORLD_POISON);
    if (!is_good)
        return;
    int run = db_find_run(&sim.world.db, saying->topic, saying->source, saying->run);
    assert_true(run >= 0);
    bool is_home = part_index(saying->topic, sim.world.db.runs[run].partition) == part;
    if (is_home && is_uncounted(run, saying->seq))
        fail_msg("part %d offset %" PRId64 " is good and has not counted", part, record->offset);
}

void redrive_rest(void)
{
    struct world *world = &sim.world;
    mend_all();
    start(0, REASON_COUNT);
    for (int round = 0; !go_on(0); round++) {
        if (round == REST_ROUNDS_MAX)
            fail_msg("not re-driven after %d calm rounds", round);
        turn_others();
    }
    for (int i = 0; i < world->db.rejected_count; i++)
        check_left(&world->db.rejected[i]);
    for (int part = 0; part < WORLD_PARTS; part++)
        for (int i = 0; i < world->logs[part].count; i++)
            check_counted(part, &world->logs[part].records[i]);
}
