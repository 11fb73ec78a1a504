/* SPDX-License-Identifier: Apache-2.0 */
/* sim_intake - the fake intake, with a point before and after each call where a worker freezes. */
#include "sim.h"

#define intake_subscribe fake_subscribe
#define intake_poll fake_poll
#define intake_change(...) fake_change(__VA_ARGS__) /* a tag too */
#define intake_assign fake_assign
#define intake_unassign fake_unassign
#define intake_seek fake_seek
#define intake_ask_ranges fake_ask_ranges
#define intake_cluster fake_cluster
#define intake_partition_count fake_partition_count
#include "../unit/fake_intake.c"
#undef intake_subscribe
#undef intake_poll
#undef intake_change
#undef intake_assign
#undef intake_unassign
#undef intake_seek
#undef intake_ask_ranges
#undef intake_cluster
#undef intake_partition_count

static int worker_of(const struct intake *intake)
{
    for (int i = 0; i < WORLD_WORKERS; i++)
        if (&sim.world.workers[i].intake == intake)
            return i;
    fail_msg("an intake of no worker");
    return -1;
}

enum fx_code intake_subscribe(struct intake *intake, struct fx_err *err)
{
    sim_point(worker_of(intake));
    return fake_subscribe(intake, err);
}

enum fx_code intake_poll(struct intake *intake, int timeout_ms, intake_take_cb *take, void *context,
                         struct fx_err *err)
{
    sim_point(worker_of(intake));
    enum fx_code code = fake_poll(intake, timeout_ms, take, context, err);
    sim_point(worker_of(intake));
    return code;
}

enum intake_change intake_change(const struct intake *intake, const struct intake_partition **list,
                                 int *count)
{
    enum intake_change change = fake_change(intake, list, count);
    sim.turns[worker_of(intake)].has_heard = change == INTAKE_LOST;
    return change;
}

enum fx_code intake_assign(struct intake *intake, const struct intake_partition *list, int count,
                           struct fx_err *err)
{
    sim_point(worker_of(intake));
    return fake_assign(intake, list, count, err);
}

void intake_unassign(struct intake *intake)
{
    sim_point(worker_of(intake));
    sim.turns[worker_of(intake)].has_heard = false;
    fake_unassign(intake);
}

enum fx_code intake_seek(struct intake *intake, int topic, int32_t partition, int64_t offset,
                         struct fx_err *err)
{
    sim_point(worker_of(intake));
    int overlap = sim.world.overlap; /* of what was fetched before */
    sim.world.overlap = offset < overlap ? 0 : overlap;
    enum fx_code code = fake_seek(intake, topic, partition, offset, err);
    sim.world.overlap = overlap;
    return code;
}

enum fx_code intake_ask_ranges(struct intake *intake, struct intake_range *ranges, int count,
                               struct fx_err *err)
{
    sim_point(worker_of(intake));
    return fake_ask_ranges(intake, ranges, count, err);
}

enum fx_code intake_cluster(struct intake *intake, const char **cluster, struct fx_err *err)
{
    return fake_cluster(intake, cluster, err);
}

enum fx_code intake_partition_count(struct intake *intake, int topic, int32_t *count,
                                    struct fx_err *err)
{
    return fake_partition_count(intake, topic, count, err);
}
