/* SPDX-License-Identifier: Apache-2.0 */
/* fake_intake - intake.h over the logs of a fake_world. */
#include "fake_world.h"

enum fx_code intake_subscribe(struct intake *intake, struct fx_err *err)
{
    if (world_roll(intake->world))
        return fx_err_set(err, FX_ERETRY, "subscribe: no broker");
    intake->is_subscribed = true;
    return FX_OK;
}

/* Index of the first record at or behind offset. */
static int find_record(const struct log *log, int64_t offset)
{
    int index = 0;
    while (index < log->count && log->records[index].offset < offset)
        index++;
    return index;
}

/* Hands over one message, in memory of exactly its size. */
static bool deliver(const struct world *world, const struct intake_partition *from,
                    const struct record *record, intake_take_cb *take, void *context)
{
    const char *key = record->flaw == FLAW_KEY ? "another" : record->saying.source;
    uint8_t *value = malloc(record->value.size);
    assert_non_null(value);
    memcpy(value, record->value.bytes, record->value.size);
    struct intake_message message = {.topic = from->topic,
                                     .partition = from->partition,
                                     .offset = record->offset,
                                     .append_ms = record->append_ms,
                                     .is_append_time = !world->is_producer_time,
                                     .key = key,
                                     .key_size = strlen(key),
                                     .value = value,
                                     .value_size = record->value.size};
    bool goes_on = take(context, &message);
    free(value);
    return goes_on;
}

static bool is_leaderless(const struct world *world, int topic, int32_t partition)
{
    return (world->leaderless & 1u << part_index(topic, partition)) != 0;
}

/* Tells of the end once, as librdkafka does. */
static bool deliver_end(struct intake *intake, int turn, int64_t end, intake_take_cb *take,
                        void *context)
{
    struct intake_partition *from = &intake->assigned[turn];
    if (intake->told_end[turn] == end)
        return true;
    from->offset = intake->told_end[turn] = end;
    struct intake_message message = {
        .topic = from->topic, .partition = from->partition, .offset = end, .is_end = true};
    return take(context, &message);
}

enum fx_code intake_poll(struct intake *intake, int timeout_ms, intake_take_cb *take, void *context,
                         struct fx_err *err)
{
    struct world *world = intake->world;
    (void)timeout_ms;
    if (take == NULL || intake->change != INTAKE_NONE)
        return FX_OK;
    int idle = 0;
    for (int sent = 0; sent < world->burst && idle < intake->assigned_count;) {
        int turn = intake->turn++ % intake->assigned_count;
        struct intake_partition *from = &intake->assigned[turn];
        const struct log *log = &world->logs[part_index(from->topic, from->partition)];
        if (is_leaderless(world, from->topic, from->partition)) {
            idle++;
            continue;
        }
        if (from->offset < log->low || from->offset > log->end)
            return fx_err_set(err, FX_ECLAIM, "offset %lld is out of range",
                              (long long)from->offset);
        int index = find_record(log, from->offset);
        if (index + 1 < log->count && intake->has_delivered[turn] && world->skips > 0) {
            world->skips--;
            index++;
        }
        idle = index == log->count ? idle + 1 : 0;
        if (index == log->count) {
            if (!deliver_end(intake, turn, log->end, take, context))
                break;
            continue;
        }
        intake->has_delivered[turn] = log->records[index].offset >= intake->sought[turn];
        from->offset = log->records[index].offset + 1;
        sent++;
        if (!deliver(world, from, &log->records[index], take, context))
            break;
    }
    return FX_OK;
}

enum intake_change intake_change(const struct intake *intake, const struct intake_partition **list,
                                 int *count)
{
    *list = intake->list;
    *count = intake->list_count;
    return intake->change;
}

enum fx_code intake_assign(struct intake *intake, const struct intake_partition *list, int count,
                           struct fx_err *err)
{
    assert_true(count <= WORLD_PARTS);
    assert_true(intake->change != INTAKE_REVOKE && intake->change != INTAKE_LOST);
    if (intake->world->assign_failures > 0 || world_roll(intake->world)) {
        intake->world->assign_failures -= intake->world->assign_failures > 0;
        return fx_err_set(err, FX_ERETRY, "assign: not now");
    }
    for (int i = 0; i < count; i++) {
        assert_true(list[i].offset >= 0);
        intake->assigned[i] = list[i];
        intake->has_delivered[i] = false;
        intake->sought[i] = list[i].offset;
        intake->told_end[i] = -1;
    }
    intake->assigned_count = count;
    intake->change = INTAKE_NONE;
    return FX_OK;
}

void intake_unassign(struct intake *intake)
{
    intake->assigned_count = 0;
    intake->list_count = 0;
    intake->change = INTAKE_NONE;
}

enum fx_code intake_seek(struct intake *intake, int topic, int32_t partition, int64_t offset,
                         struct fx_err *err)
{
    for (int i = 0; i < intake->assigned_count; i++) {
        struct intake_partition *to = &intake->assigned[i];
        if (to->topic != topic || to->partition != partition)
            continue;
        if (world_roll(intake->world))
            return fx_err_set(err, FX_ERETRY, "seek: not now");
        to->offset = offset - intake->world->overlap;
        intake->sought[i] = offset;
        intake->told_end[i] = -1;
        intake->has_delivered[i] = false; /* what was left out comes now */
        intake->seeks++;
        return FX_OK;
    }
    fail_msg("seek of topic %d partition %d, which is not assigned", topic, (int)partition);
    return FX_ESTATE;
}

enum fx_code intake_ask_ranges(struct intake *intake, struct intake_range *ranges, int count,
                               struct fx_err *err)
{
    if (intake->world->ask_failures > 0 || world_roll(intake->world)) {
        intake->world->ask_failures -= intake->world->ask_failures > 0;
        return fx_err_set(err, FX_ERETRY, "asking for offsets: no answer");
    }
    int known = 0;
    for (int i = 0; i < count; i++) {
        const struct log *log =
            &intake->world->logs[part_index(ranges[i].topic, ranges[i].partition)];
        ranges[i].is_known = !is_leaderless(intake->world, ranges[i].topic, ranges[i].partition);
        ranges[i].low = ranges[i].is_known ? log->low : -1;
        ranges[i].high = ranges[i].is_known ? log->end : -1;
        known += ranges[i].is_known;
    }
    if (count > 0 && known == 0)
        return fx_err_set(err, FX_ERETRY, "asking for offsets: no leader");
    return FX_OK;
}

enum fx_code intake_cluster(struct intake *intake, const char **cluster, struct fx_err *err)
{
    if (world_roll(intake->world))
        return fx_err_set(err, FX_ERETRY, "cluster: no answer");
    *cluster = intake->world->cluster;
    return FX_OK;
}

enum fx_code intake_partition_count(struct intake *intake, int topic, int32_t *count,
                                    struct fx_err *err)
{
    (void)topic;
    if (world_roll(intake->world))
        return fx_err_set(err, FX_ERETRY, "partition count: no answer");
    *count = WORLD_PARTITIONS;
    return FX_OK;
}
