/* SPDX-License-Identifier: Apache-2.0 */
/* fake_world - logs and workers. */
#include "fake_world.h"

#define STEPS_MAX 30000

void world_open(struct world *world, const struct catalog *catalog, uint64_t seed)
{
    memset(world, 0, offsetof(struct world, db));
    database_reset(&world->db, &world->homes);
    for (int i = 0; i < WORLD_WORKERS; i++)
        world->workers[i].pipeline = NULL;
    world->dice.state = seed;
    world->catalog = catalog;
    world->now_ms = WORLD_BEGIN_MS + 3600000;
    world->tick_ms = 20;
    world->burst = 7;
    world->polls = 1;
    world->events_max = 1000;
    world->runs_max = 1000;
    world->bytes_max = 1 << 20;
    world->region_count = KINDS_REGIONS;
    world->cluster = "here";
}

void world_close(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++)
        worker_close(world, i);
    for (int i = 0; i < WORLD_PARTS; i++)
        free(world->logs[i].records);
    database_release_tables(&world->db);
    transaction_release(&world->late);
}

bool world_roll(struct world *world)
{
    return world->fault_percent > 0 && dice_chance(&world->dice, world->fault_percent);
}

struct record *world_append(struct world *world, int32_t partition, const struct saying *saying,
                            enum flaw flaw)
{
    struct log *log = &world->logs[part_index(saying->topic, partition)];
    if (log->count == log->room) {
        log->room = log->room == 0 ? 64 : log->room * 2;
        log->records = realloc(log->records, (size_t)log->room * sizeof *log->records);
        assert_non_null(log->records);
    }
    struct record *record = &log->records[log->count++];
    *record = (struct record){.offset = log->end++, .append_ms = world->now_ms, .flaw = flaw};
    record->saying = *saying;
    if (flaw == FLAW_SUMS) {
        record->saying.wait_s = SAYING_NEVER;
        record->saying.origin = NULL;
    }
    record->value = saying_encode(world->catalog, &record->saying);
    if (flaw == FLAW_BYTES)
        record->value.size--;
    if (flaw == FLAW_SUMS) {
        assert_true(saying->topic == TOPIC_GATE && !saying->is_heartbeat);
        record->value.bytes[record->value.size - 3] ^= 2; /* a child more, or less */
    }
    return record;
}

void world_skip_offsets(struct world *world, int part, int64_t size)
{
    world->logs[part].end += size;
}

void world_trim(struct world *world, int part, int64_t offset)
{
    struct log *log = &world->logs[part];
    const struct db_position *at = &world->db.positions[part];
    for (int i = 0; i < log->count && log->records[i].offset < offset; i++)
        log->records[i].is_lost |= !at->is_there || log->records[i].offset >= at->next;
    log->low = offset;
}

void world_accept(struct world *world, const struct db_acceptance *acceptance)
{
    struct database *db = &world->db;
    assert_true(db->acceptance_count < WORLD_ACCEPTANCES_MAX);
    struct db_acceptance *fresh = &db->acceptances[db->acceptance_count++];
    *fresh = *acceptance;
    fresh->at = db->acceptance_count;
}

void worker_open(struct world *world, int worker)
{
    struct worker *one = &world->workers[worker];
    memset(&one->intake, 0, sizeof one->intake);
    memset(&one->store, 0, offsetof(struct store, flight));
    one->intake.world = one->store.world = world;
    static const char *const topics[TOPICS] = {"t.0", "t.1"};
    struct pipeline_options options = {.catalog = world->catalog,
                                       .topics = topics,
                                       .intake = &one->intake,
                                       .store = &one->store,
                                       .seed = dice_u64(&world->dice),
                                       .bytes_max = world->bytes_max,
                                       .runs_max = world->runs_max,
                                       .events_max = world->events_max,
                                       .until_end = world->until_end};
    assert_ok(pipeline_open(&options, &one->pipeline, &err));
}

void worker_close(struct world *world, int worker)
{
    struct worker *one = &world->workers[worker];
    if (one->pipeline == NULL)
        return;
    store_abandon(&one->store);
    pipeline_close(one->pipeline);
    one->pipeline = NULL;
    transaction_release(&one->store.flight);
}

void worker_assign(struct world *world, int worker, unsigned parts)
{
    struct intake *intake = &world->workers[worker].intake;
    intake->list_count = 0;
    for (int i = WORLD_PARTS - 1; i >= 0; i--)
        if (parts & 1u << i)
            intake->list[intake->list_count++] =
                (struct intake_partition){i / WORLD_PARTITIONS, i % WORLD_PARTITIONS, -1};
    intake->change = INTAKE_ASSIGN;
}

void worker_change(struct world *world, int worker, enum intake_change change)
{
    world->workers[worker].intake.change = change;
}

enum fx_code worker_step(struct world *world, int worker)
{
    struct fx_err err = FX_ERR_INIT;
    world->now_ms += world->tick_ms;
    world->code = pipeline_step(world->workers[worker].pipeline, world->now_ms, 100, &err);
    memcpy(world->text, err.text, sizeof world->text);
    return world->code;
}

bool world_is_counted(const struct world *world)
{
    for (int i = 0; i < WORLD_PARTS; i++)
        if (world->logs[i].count > 0 && world->db.positions[i].next != world->logs[i].end)
            return false;
    return true;
}

void world_run(struct world *world)
{
    for (int step = 0; !world_is_counted(world); step++) {
        if (step == STEPS_MAX)
            fail_msg("not counted after %d steps", step);
        for (int i = 0; i < WORLD_WORKERS; i++)
            if (world->workers[i].pipeline != NULL && worker_step(world, i) != FX_OK &&
                world->code != FX_ERETRY)
                fail_msg("a worker stopped: %s", world->text);
    }
}

void worker_run_to_stop(struct world *world, int worker, enum fx_code expected)
{
    int step = 0;
    while (worker_step(world, worker) == FX_OK)
        assert_true(step++ < STEPS_MAX);
    assert_string_equal(fx_code_name(world->code), fx_code_name(expected));
}
