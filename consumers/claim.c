/* SPDX-License-Identifier: Apache-2.0 */
/* claim - from where a worker counts: positions, ledger and gaps, read under PostgreSQL's locks. */
#include "claim.h"

#include "../common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t claim_random(struct pipeline *pipeline)
{
    /* splitmix64 (S. Vigna, public domain) */
    uint64_t z = pipeline->random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void claim_drop(struct pipeline *pipeline)
{
    store_abandon(pipeline->options.store);
    compose_reset(pipeline);
    for (int k = 0; k < pipeline->options.catalog->kind_count; k++)
        plan_forget(pipeline->kinds[k].plan);
    ledger_reset(pipeline->ledger);
    marks_reset(&pipeline->marks);
    pipeline->rejected_count = 0;
    pipeline->hour_count = 0;
    pipeline->hole_count = 0;
    pipeline->day_count = 0;
    pipeline->tally_count = 0;
    pipeline->pending = 0;
    pipeline->is_in_flight = false;
    pipeline->is_claimed = pipeline->must_claim = false;
    pipeline->recent = NULL;
    pipeline->stats.drops++;
}

/* Earlier wants are kept until a flush commits, or two flushes that find out about each other's
 * runs would take turns for ever. A claim's newest runs and all wanted ones must leave room in
 * the ledger; where they do not, fewer events at a time find out about fewer runs. One event at a
 * time finds out about the next of every partition in turn: then wanted ones come first. */
void claim_want_presumed(struct pipeline *pipeline)
{
    int most = pipeline->options.runs_max / 2 - 1;
    int count = pipeline->wanted_count + pipeline->presumed_count;
    if (pipeline->flight_events > 0 && pipeline->flight_events < pipeline->taken_max)
        pipeline->taken_max = pipeline->flight_events;
    if (pipeline->taken_max == 1)
        most = pipeline->options.runs_max - 2;
    if (count > most) {
        pipeline->taken_max = pipeline->taken_max > 1 ? pipeline->taken_max / 2 : 1;
        pipeline->wanted_count = 0;
        count = pipeline->presumed_count;
    }
    if (count > most && pipeline->taken_max > 1)
        return;
    if (count > pipeline->wanted_room) {
        struct claim_wanted *more = realloc(pipeline->wanted, (size_t)count * sizeof *more);
        if (more == NULL)
            return; /* the replay finds out again */
        pipeline->wanted = more;
        pipeline->wanted_room = count;
    }
    if (pipeline->presumed_count > 0)
        memcpy(&pipeline->wanted[pipeline->wanted_count], pipeline->presumed,
               (size_t)pipeline->presumed_count * sizeof *pipeline->wanted);
    pipeline->wanted_count = count;
}

static int compare_parts(const void *left, const void *right)
{
    const struct intake_partition *a = left;
    const struct intake_partition *b = right;
    if (a->topic != b->topic)
        return a->topic - b->topic;
    return (a->partition > b->partition) - (a->partition < b->partition);
}

/* Partitions without a leader are left as they are in PostgreSQL, until they have one: they hold up
 * no others, and are claimed, with every check, like any other then. */
static void keep_known(const struct pipeline *pipeline, struct claim *claim,
                       struct intake_range *ranges)
{
    int kept = 0;
    for (int i = 0; i < claim->count; i++) {
        if (!ranges[i].is_known) {
            fx_log(FX_LOG_WARN, "no_leader", "topic=%s partition=%d effect=waits",
                   pipeline->options.topics[ranges[i].topic], (int)ranges[i].partition);
            continue;
        }
        claim->partitions[kept] = claim->partitions[i];
        ranges[kept++] = ranges[i];
    }
    claim->count = kept;
}

/* What the broker has of each partition, in the order of the claim. */
static enum fx_code ask_broker(struct pipeline *pipeline, struct claim *claim,
                               struct intake_range *ranges, struct fx_err *err)
{
    for (int i = 0; i < claim->count; i++)
        ranges[i] = (struct intake_range){.topic = claim->partitions[i].topic,
                                          .partition = claim->partitions[i].partition};
    if (intake_ask_ranges(pipeline->options.intake, ranges, claim->count, err) != FX_OK ||
        intake_cluster(pipeline->options.intake, &claim->cluster, err) != FX_OK)
        return fx_err_wrap(err, "claim");
    keep_known(pipeline, claim, ranges);
    for (int i = 0; i < claim->count; i++) {
        claim->partitions[i].low_offset = ranges[i].low;
        claim->partitions[i].generation = (int64_t)claim_random(pipeline);
    }
    return FX_OK;
}

enum fx_code claim_refuse_loss(const struct pipeline *pipeline, const struct part *part,
                               const struct claim_range *lost, const char *why, struct fx_err *err)
{
    const char *topic = pipeline->options.topics[part->topic];
    return fx_err_set(err, FX_ESTATE,
                      "topic %s partition %d: offsets %lld to %lld %s; to go on all the same: "
                      "fx-setup --accept-loss %s:%d:%lld-%lld --reason TEXT",
                      topic, (int)part->partition, (long long)lost->first, (long long)lost->last,
                      why, topic, (int)part->partition, (long long)lost->first,
                      (long long)lost->last);
}

/* Loud loss: what was not counted is gone from Kafka, or Kafka is not the one we knew. Where the
 * log ends too early nobody knows from where on it is another one: the whole of it is named. */
static enum fx_code check_position(const struct pipeline *pipeline, const struct part *part,
                                   struct fx_err *err)
{
    char why[160];
    if (part->end < part->next) {
        snprintf(why, sizeof why,
                 "were counted, but the log ends at offset %lld: it was recreated or truncated, "
                 "or this is another cluster",
                 (long long)part->end);
        struct claim_range lost = {.first = part->low, .last = part->next - 1};
        return claim_refuse_loss(pipeline, part, &lost, why, err);
    }
    if (part->low > part->next) {
        struct claim_range lost = {.first = part->next, .last = part->low - 1};
        return claim_refuse_loss(pipeline, part, &lost,
                                 "are gone from Kafka and were never counted", err);
    }
    return FX_OK;
}

/* The part as the claim found it. */
static void take_over(struct part *part, const struct claim_partition *claimed,
                      const struct intake_range *range)
{
    *part = (struct part){.topic = claimed->topic, .partition = claimed->partition};
    part->generation = claimed->generation;
    part->base = claimed->base_offset;
    part->low = range->low;
    part->end = range->high;
    part->next = part->sent_next = claimed->next_offset;
    part->append_high_ms = claimed->append_high_ms;
    part->has_bookmark = claimed->has_bookmark;
    part->bookmark = claimed->bookmark;
    part->sought = part->seek_wanted = -1;
    part->is_verifying = part->has_bookmark && part->low < part->next;
}

/* Room for count parts; never less than there was, so that a failure leaves the old ones whole. */
static enum fx_code grow_parts(struct pipeline *pipeline, int count, struct fx_err *err)
{
    if (count <= pipeline->part_room)
        return FX_OK;
    size_t room = (size_t)count;
    struct part *parts = realloc(pipeline->parts, room * sizeof *parts);
    if (parts != NULL)
        pipeline->parts = parts;
    struct flush_position *positions = realloc(pipeline->positions, room * sizeof *positions);
    if (positions != NULL)
        pipeline->positions = positions;
    struct refused *suspects = realloc(pipeline->suspects, room * sizeof *suspects);
    if (suspects != NULL)
        pipeline->suspects = suspects;
    if (parts == NULL || positions == NULL || suspects == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d partitions", count);
    pipeline->part_room = count;
    return FX_OK;
}

static enum fx_code begin_at(struct pipeline *pipeline, const struct claim *claim,
                             const struct intake_range *ranges, struct fx_err *err)
{
    if (grow_parts(pipeline, claim->count, err) != FX_OK)
        return err->code;
    struct intake_partition *list = calloc((size_t)claim->count + 1, sizeof *list);
    if (list == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d partitions", claim->count);
    for (int i = 0; i < claim->count && err->code == FX_OK; i++) {
        struct part *part = &pipeline->parts[i];
        take_over(part, &claim->partitions[i], &ranges[i]);
        list[i] = (struct intake_partition){part->topic, part->partition,
                                            part->is_verifying ? part->next - 1 : part->next};
        (void)(check_position(pipeline, part, err) == FX_OK);
    }
    pipeline->part_count = err->code == FX_OK ? claim->count : 0; /* parts are whole, or unused */
    if (err->code == FX_OK &&
        intake_assign(pipeline->options.intake, list, claim->count, err) == FX_OK) {
        pipeline->is_claimed = true;
        pipeline->accept_simulated = claim->accept_simulated;
        pipeline->reported_until_ms = claim->reported_until_ms;
        pipeline->untimed_count = claim->untimed_count;
        memcpy(pipeline->untimed, claim->untimed, sizeof pipeline->untimed);
    }
    free(list);
    return err->code;
}

/* Keeps what a waiting assignment names. */
static enum fx_code keep_assigned(struct pipeline *pipeline, struct fx_err *err)
{
    const struct intake_partition *list = NULL;
    int count = 0;
    if (intake_change(pipeline->options.intake, &list, &count) != INTAKE_ASSIGN)
        return FX_OK;
    if (count > pipeline->assigned_room) {
        struct intake_partition *more = realloc(pipeline->assigned, (size_t)count * sizeof *more);
        if (more == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d partitions", count);
        pipeline->assigned = more;
        pipeline->assigned_room = count;
    }
    if (count > 0) {
        memcpy(pipeline->assigned, list, (size_t)count * sizeof *list);
        qsort(pipeline->assigned, (size_t)count, sizeof *list, compare_parts);
    }
    pipeline->assigned_count = count;
    return FX_OK;
}

/* The partitions to claim: those of a waiting assignment, else those we have. */
static enum fx_code list_partitions(struct pipeline *pipeline, struct claim *claim,
                                    struct fx_err *err)
{
    if (keep_assigned(pipeline, err) != FX_OK)
        return err->code;
    claim->count = pipeline->assigned_count;
    claim->partitions = calloc((size_t)claim->count + 1, sizeof *claim->partitions);
    if (claim->partitions == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d partitions", claim->count);
    for (int i = 0; i < claim->count; i++) {
        claim->partitions[i].topic = pipeline->assigned[i].topic;
        claim->partitions[i].partition = pipeline->assigned[i].partition;
    }
    return FX_OK;
}

/* How many of the newest runs find room beside those wanted, and one more. */
static int newest_runs(const struct pipeline *pipeline)
{
    int half = pipeline->options.runs_max / 2;
    int rest = pipeline->options.runs_max - 1 - pipeline->wanted_count;
    return half < rest ? half : rest > 0 ? rest : 0;
}

enum fx_code claim_partitions(struct pipeline *pipeline, struct fx_err *err)
{
    struct claim claim = {.wanted = pipeline->wanted,
                          .wanted_count = pipeline->wanted_count,
                          .runs_max = newest_runs(pipeline),
                          .reported_until_ms = INT64_MIN};
    if (list_partitions(pipeline, &claim, err) != FX_OK)
        return err->code;
    struct intake_range *ranges = calloc((size_t)claim.count + 1, sizeof *ranges);
    enum fx_code code = ranges != NULL ? ask_broker(pipeline, &claim, ranges, err)
                                       : fx_err_set(err, FX_EMEMORY, "no memory for a claim");
    if (code == FX_OK)
        code =
            store_claim(pipeline->options.store, &claim, pipeline->ledger, &pipeline->marks, err);
    if (code == FX_OK)
        code = store_load_regions(pipeline->options.store, &pipeline->regions, err);
    /* what the owner before us took since is behind the ends asked for before its claim ended */
    if (code == FX_OK)
        code = intake_ask_ranges(pipeline->options.intake, ranges, claim.count, err);
    if (code == FX_OK)
        keep_known(pipeline, &claim, ranges); /* what lost its leader meanwhile is only fenced */
    if (code == FX_OK)
        code = begin_at(pipeline, &claim, ranges, err);
    free(ranges);
    free(claim.partitions);
    pipeline->stats.claims += code == FX_OK;
    pipeline->stats.is_connected = code == FX_OK;
    pipeline->stats.partitions = pipeline->assigned_count;
    pipeline->stats.waiting = pipeline->assigned_count - pipeline->part_count;
    return code;
}

bool claim_is_verified(const struct pipeline *pipeline)
{
    for (int i = 0; i < pipeline->part_count; i++)
        if (pipeline->parts[i].is_verifying)
            return false;
    return pipeline->stats.claims > 0;
}

enum fx_code claim_list_ends(struct pipeline *pipeline, struct fx_err *err)
{
    struct intake *intake = pipeline->options.intake;
    pipeline->end_count = 0;
    for (int topic = 0; topic < pipeline->options.catalog->kind_count; topic++) {
        int32_t count;
        if (intake_partition_count(intake, topic, &count, err) != FX_OK)
            return err->code;
        size_t room = (size_t)(pipeline->end_count + count) * sizeof *pipeline->ends;
        struct intake_range *ends = realloc(pipeline->ends, room);
        if (ends == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for end offsets");
        pipeline->ends = ends;
        for (int32_t i = 0; i < count; i++)
            ends[pipeline->end_count++] = (struct intake_range){.topic = topic, .partition = i};
    }
    enum fx_code code = intake_ask_ranges(intake, pipeline->ends, pipeline->end_count, err);
    for (int i = 0; code == FX_OK && i < pipeline->end_count; i++)
        if (!pipeline->ends[i].is_known)
            code = fx_err_set(err, FX_ERETRY, "topic %s partition %d: no leader knows its end",
                              pipeline->options.topics[pipeline->ends[i].topic],
                              (int)pipeline->ends[i].partition);
    return code;
}
