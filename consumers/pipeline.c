/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - when a worker takes, flushes, claims and drops. See pipeline.h. */
#include "claim.h"

#include "../common/log.h"

#include <stdlib.h>
#include <string.h>

#define PACE_FRESH 1
#define PACE_BEHIND 9
#define BEHIND_MS 10000
#define FLUSH_WAIT_MAX_MS 1000
#define CLAIM_WAIT_MIN_MS 100
#define CLAIM_WAIT_MAX_MS 10000
#define CAUGHT_UP_EVERY_MS 10000
#define END_EVERY_MS 100
#define MARKS_KEPT 16384
#define REVOKE_POLLS 50
#define REVOKE_POLL_MS 100

static enum fx_code open_kind(struct pipeline *pipeline, int kind, struct fx_err *err)
{
    const struct catalog *catalog = pipeline->options.catalog;
    struct kind_state *state = &pipeline->kinds[kind];
    uint64_t seed = pipeline->options.seed;
    state->not_before_ms = kind_current(&catalog->kinds[kind].kind)->not_before_ms;
    if (plan_open(catalog, kind, seed, &state->plan, err) != FX_OK)
        return err->code;
    if (!plan_is_straight(state->plan))
        fx_log(
            FX_LOG_INFO, "walked",
            "kind=%s msg=\"changed since the build: counted the same, but slower until the next\"",
            catalog->kinds[kind].kind.name);
    for (int i = 0; i < plan_rollup_count(state->plan); i++)
        if (cells_open(plan_rollup(state->plan, i), pipeline->options.bytes_max, seed,
                       &state->cells[i], err) != FX_OK ||
            levels_open(state->plan, i, seed, &state->levels[i], err) != FX_OK)
            return err->code;
    return FX_OK;
}

enum fx_code pipeline_open(const struct pipeline_options *options, struct pipeline **pipeline,
                           struct fx_err *err)
{
    fx_assert(options->events_max > 0 && options->runs_max > 1);
    struct pipeline *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a pipeline");
    fresh->options = *options;
    fresh->random_state = options->seed;
    fresh->taken_max = options->events_max;
    fresh->stats.lag = -1;
    fresh->reported_until_ms = INT64_MIN;
    marks_init(&fresh->marks, options->seed);
    retry_init(&fresh->retry, CLAIM_WAIT_MIN_MS, CLAIM_WAIT_MAX_MS);
    /* not cleared: a place is written before it is read, and most never are */
    size_t tables = (size_t)CATALOG_KINDS_MAX * ROLLUP_PER_KIND_MAX * LEVEL_COUNT;
    fresh->hours = malloc(PIPELINE_HOURS_MAX * sizeof *fresh->hours);
    fresh->tables = malloc(tables * sizeof *fresh->tables);
    fresh->days = malloc(PIPELINE_DAYS_MAX * sizeof *fresh->days);
    fresh->tallies = malloc(PIPELINE_DAYS_MAX * sizeof *fresh->tallies);
    if (fresh->hours == NULL || fresh->tables == NULL || fresh->days == NULL ||
        fresh->tallies == NULL)
        fx_err_set(err, FX_EMEMORY, "no memory for a pipeline");
    else if (region_tree_init(&fresh->regions, err) == FX_OK)
        (void)(ledger_open(options->runs_max, options->seed, &fresh->ledger, err) == FX_OK);
    for (int k = 0; k < options->catalog->kind_count && err->code == FX_OK; k++)
        (void)(open_kind(fresh, k, err) == FX_OK);
    if (err->code != FX_OK) {
        pipeline_close(fresh);
        return err->code;
    }
    *pipeline = fresh;
    return FX_OK;
}

void pipeline_close(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    for (int k = 0; k < CATALOG_KINDS_MAX; k++) {
        for (int i = 0; i < ROLLUP_PER_KIND_MAX; i++) {
            cells_close(pipeline->kinds[k].cells[i]);
            levels_close(pipeline->kinds[k].levels[i]);
        }
        plan_close(pipeline->kinds[k].plan);
    }
    region_tree_release(&pipeline->regions);
    ledger_close(pipeline->ledger);
    marks_release(&pipeline->marks);
    free(pipeline->assigned);
    free(pipeline->parts);
    free(pipeline->positions);
    free(pipeline->suspects);
    free(pipeline->tables);
    free(pipeline->hours);
    free(pipeline->days);
    free(pipeline->tallies);
    free(pipeline->wanted);
    free(pipeline->presumed);
    free(pipeline->ends);
    free(pipeline);
}

/* Drops uncommitted memory for a doubt; FX_OK: claim again later. */
static enum fx_code settle_doubt(struct pipeline *pipeline, struct fx_err *err)
{
    struct fx_err doubt = pipeline->doubt;
    if (doubt.code == FX_OK)
        return FX_OK;
    fx_err_clear(&pipeline->doubt);
    memcpy(pipeline->trouble, doubt.text, sizeof pipeline->trouble);
    claim_drop(pipeline);
    pipeline->must_poll = true;
    if (doubt.code == FX_ECONFIG || doubt.code == FX_ESTATE) {
        *err = doubt;
        return doubt.code;
    }
    uint64_t random = pipeline->random_state += UINT64_C(0x9e3779b97f4a7c15);
    int64_t wait_ms = retry_next_ms(&pipeline->retry, random >> 17);
    pipeline->claim_next_ms = pipeline->now_ms + wait_ms;
    pipeline->stats.is_connected = false;
    char quoted[FX_ERR_TEXT_MAX];
    fx_log(FX_LOG_WARN, "drop", "code=%s wait_ms=%lld msg=%s", fx_code_name(doubt.code),
           (long long)wait_ms, fx_log_quote(quoted, sizeof quoted, doubt.text));
    return FX_OK;
}

static bool has_pending(const struct pipeline *pipeline)
{
    for (int i = 0; i < pipeline->part_count; i++) {
        const struct part *part = &pipeline->parts[i];
        if (part->next != part->sent_next || part->caught_up_ms > part->sent_caught_up_ms)
            return true;
    }
    return false;
}

static void begin_flush(struct pipeline *pipeline)
{
    struct fx_err *doubt = &pipeline->doubt;
    struct flush flush;
    if (compose_flush(pipeline, &flush, doubt) != FX_OK ||
        store_send(pipeline->options.store, &flush, doubt) != FX_OK)
        return;
    compose_sent(pipeline);
    pipeline->is_in_flight = true;
    pipeline->flush_began_ms = -1; /* now: this step may have waited for its first event long */
}

/* Keeps of list what no commit is behind yet, in a partition that is still ours; how many. */
static int keep_ahead(const struct pipeline *pipeline, struct refused *list, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        for (int p = 0; p < pipeline->part_count; p++)
            if (pipeline->parts[p].topic == list[i].topic &&
                pipeline->parts[p].partition == list[i].partition &&
                pipeline->parts[p].sent_next <= list[i].offset)
                list[kept++] = list[i];
    return kept;
}

/* How long PostgreSQL is left alone. Nobody looks for an event of a backlog yet: fewer and larger
 * flushes get through it sooner. */
static int64_t pace_ms(const struct pipeline *pipeline, int64_t took_ms)
{
    bool is_behind = pipeline->now_ms - pipeline->latest_append_ms > BEHIND_MS;
    int64_t wait_ms = (took_ms < 1 ? 1 : took_ms) * (is_behind ? PACE_BEHIND : PACE_FRESH);
    return wait_ms < FLUSH_WAIT_MAX_MS ? wait_ms : FLUSH_WAIT_MAX_MS;
}

static void flush_committed(struct pipeline *pipeline)
{
    int64_t took_ms =
        pipeline->flush_began_ms < 0 ? 0 : pipeline->now_ms - pipeline->flush_began_ms;
    pipeline->is_in_flight = false;
    fx_log(FX_LOG_DEBUG, "flush", "messages=%lld ms=%lld", (long long)pipeline->flight_events,
           (long long)took_ms);
    pipeline->flush_next_ms = pipeline->now_ms + pace_ms(pipeline, took_ms);
    pipeline->stats.flushes++;
    pipeline->stats.flush_ms_last = took_ms;
    pipeline->stats.committed += pipeline->flight_events;
    if (pipeline->flight_events > 0)
        pipeline->stats.ended_ms = pipeline->now_ms;
    pipeline->wanted_count = 0;
    marks_forget(&pipeline->marks, MARKS_KEPT);
    retry_reset(&pipeline->retry);
    pipeline->refused_count = keep_ahead(pipeline, pipeline->refused, pipeline->refused_count);
    pipeline->suspect_count = keep_ahead(pipeline, pipeline->suspects, pipeline->suspect_count);
    if (pipeline->suspect_count == 0 && pipeline->flight_events > 0)
        pipeline->taken_max *= 2;
    if (pipeline->taken_max > pipeline->options.events_max)
        pipeline->taken_max = pipeline->options.events_max;
}

/*
 * The database refuses a value of the flush: find the message by halving. Until all of the flush is
 * committed, or the one message found, flushes do not grow again: those of other partitions in
 * between would have it refused for ever in a flush that is too large.
 */
static void note_refusal(struct pipeline *pipeline)
{
    if (pipeline->flight_events == 0)
        return;
    pipeline->suspect_count = 0;
    if (pipeline->flight_events > 1) {
        for (int i = 0; i < pipeline->part_count; i++)
            pipeline->suspects[pipeline->suspect_count++] =
                (struct refused){pipeline->parts[i].topic, pipeline->parts[i].partition,
                                 pipeline->parts[i].sent_next - 1};
        pipeline->taken_max = pipeline->flight_events / 2;
        return;
    }
    if (pipeline->refused_count == PIPELINE_REFUSED_MAX)
        pipeline->refused_count = 0; /* the oldest are committed as rejected long since */
    pipeline->refused[pipeline->refused_count++] = pipeline->flight_latest;
    pipeline->suspects[pipeline->suspect_count++] = pipeline->flight_latest;
    pipeline->taken_max = 1;
}

static void poll_flush(struct pipeline *pipeline, int wait_ms)
{
    bool is_done = false;
    struct fx_err *doubt = &pipeline->doubt;
    enum fx_code code = store_poll(pipeline->options.store, wait_ms, &is_done, doubt);
    if (code == FX_OK) {
        if (is_done)
            flush_committed(pipeline);
        return;
    }
    pipeline->is_in_flight = false;
    if (code == FX_EREFUSED)
        note_refusal(pipeline);
    if (code != FX_ECLAIM)
        return;
    enum store_conflict conflict = store_conflict(pipeline->options.store);
    if (conflict == STORE_RUNS || conflict == STORE_MARKS)
        claim_want_presumed(pipeline);
    if (conflict == STORE_SLOW && pipeline->flight_events > 1)
        pipeline->taken_max = pipeline->flight_events / 2;
}

/* What is taken is written before the partitions go; in a bounded time, the group waits. */
static void flush_before_revoke(struct pipeline *pipeline)
{
    int polls = 0;
    while (pipeline->doubt.code == FX_OK && polls++ < REVOKE_POLLS) {
        if (pipeline->is_in_flight)
            poll_flush(pipeline, REVOKE_POLL_MS);
        else if (pipeline->pending > 0)
            begin_flush(pipeline);
        else
            return;
    }
}

static void serve_change(struct pipeline *pipeline)
{
    const struct intake_partition *list;
    int count;
    enum intake_change change = intake_change(pipeline->options.intake, &list, &count);
    if (change == INTAKE_REVOKE && pipeline->is_claimed)
        flush_before_revoke(pipeline);
    if (change == INTAKE_REVOKE || change == INTAKE_LOST) {
        fx_log(FX_LOG_INFO, "revoke", "lost=%d partitions=%d pending=%lld", change == INTAKE_LOST,
               pipeline->part_count, (long long)pipeline->pending);
        claim_drop(pipeline);
        fx_err_clear(&pipeline->doubt);
        pipeline->part_count = pipeline->assigned_count = 0;
        pipeline->stats.partitions = pipeline->stats.waiting = 0;
        intake_unassign(pipeline->options.intake);
    }
    bool has_work =
        change == INTAKE_ASSIGN || (!pipeline->is_claimed && pipeline->assigned_count > 0);
    if (!has_work || pipeline->now_ms < pipeline->claim_next_ms || pipeline->is_draining ||
        pipeline->must_poll)
        return;
    if (pipeline->is_claimed || ledger_count_entries(pipeline->ledger) > 0)
        claim_drop(pipeline);
    if (claim_partitions(pipeline, &pipeline->doubt) == FX_OK)
        fx_log(FX_LOG_INFO, "claim", "partitions=%d runs=%d wanted=%d", pipeline->part_count,
               ledger_count_entries(pipeline->ledger), pipeline->wanted_count);
}

static void seek_wanted(struct pipeline *pipeline)
{
    for (int i = 0; i < pipeline->part_count; i++) {
        struct part *part = &pipeline->parts[i];
        if (part->seek_wanted < 0)
            continue;
        struct fx_err err = FX_ERR_INIT;
        if (intake_seek(pipeline->options.intake, part->topic, part->partition, part->seek_wanted,
                        &err) == FX_OK)
            part->seek_wanted = -1;
    }
}

static void note_caught_up(struct pipeline *pipeline, struct part *part, int64_t end)
{
    int64_t behind = end - part->next;
    if (behind <= 0 && pipeline->now_ms > part->caught_up_ms)
        part->caught_up_ms = pipeline->now_ms;
    else if (behind <= 0) /* our clock is behind: said again, or an idle worker would not */
        part->sent_caught_up_ms = part->caught_up_ms - 1; /* hear that it was fenced */
    pipeline->stats.lag += behind > 0 ? behind : 0;
}

/* Idle partitions say that nothing is waiting: silence is judged against it. Those that had no
 * leader are looked after here, too. */
static void ask_caught_up(struct pipeline *pipeline)
{
    pipeline->caught_up_next_ms = pipeline->now_ms + CAUGHT_UP_EVERY_MS;
    struct fx_err err = FX_ERR_INIT;
    int count = pipeline->assigned_count;
    struct intake_range *ranges = calloc((size_t)count + 1, sizeof *ranges);
    for (int i = 0; ranges != NULL && i < count; i++)
        ranges[i] = (struct intake_range){.topic = pipeline->assigned[i].topic,
                                          .partition = pipeline->assigned[i].partition};
    if (ranges != NULL &&
        intake_ask_ranges(pipeline->options.intake, ranges, count, &err) == FX_OK) {
        pipeline->stats.lag = 0;
        for (int i = 0, p = 0; i < count; i++) {
            struct part *part = p < pipeline->part_count ? &pipeline->parts[p] : NULL;
            bool is_part = part != NULL && part->topic == ranges[i].topic &&
                           part->partition == ranges[i].partition;
            p += is_part;
            if (ranges[i].is_known && is_part)
                note_caught_up(pipeline, part, ranges[i].high);
            pipeline->must_claim |= ranges[i].is_known && !is_part;
        }
    }
    free(ranges);
}

/* Ends are read before the group is joined, so that what comes later is not waited for. */
static enum fx_code subscribe(struct pipeline *pipeline, struct fx_err *err)
{
    if (pipeline->options.until_end && claim_list_ends(pipeline, err) != FX_OK)
        return err->code;
    if (intake_subscribe(pipeline->options.intake, err) != FX_OK)
        return err->code;
    pipeline->is_subscribed = true;
    return FX_OK;
}

static void check_done(struct pipeline *pipeline)
{
    if (pipeline->is_in_flight)
        return;
    if (pipeline->is_draining) {
        pipeline->is_done = pipeline->pending == 0;
        return;
    }
    /* what waits may be from behind the end, and there is always more of it */
    if (!pipeline->options.until_end || pipeline->now_ms < pipeline->end_next_ms ||
        !claim_is_verified(pipeline))
        return;
    pipeline->end_next_ms = pipeline->now_ms + END_EVERY_MS;
    struct fx_err err = FX_ERR_INIT;
    bool is_reached = false;
    if (store_reached(pipeline->options.store, pipeline->ends, pipeline->end_count, &is_reached,
                      &err) == FX_OK)
        pipeline->is_done = is_reached;
}

/* With until_end: all that is wanted of these partitions is taken, and not all of it is sent. */
static bool is_at_end(const struct pipeline *pipeline)
{
    bool is_wanted = false;
    for (int i = 0; i < pipeline->end_count; i++) {
        const struct intake_range *end = &pipeline->ends[i];
        for (int p = 0; p < pipeline->part_count; p++) {
            const struct part *part = &pipeline->parts[p];
            if (part->topic != end->topic || part->partition != end->partition)
                continue;
            if (part->next < end->high)
                return false;
            is_wanted |= part->sent_next < end->high;
        }
    }
    return is_wanted;
}

/* A flush when something waits and the pace, or a full table, says so. */
static void flush_if_due(struct pipeline *pipeline)
{
    if (pipeline->is_in_flight || !pipeline->is_claimed || pipeline->doubt.code != FX_OK)
        return;
    bool is_full = take_room(pipeline) <= 0;
    bool must_drop = is_full || pipeline->must_claim;
    if (must_drop && pipeline->pending == 0 && !has_pending(pipeline)) {
        claim_drop(pipeline); /* the ledger is a cache: make room in it */
        return;
    }
    bool is_due = pipeline->now_ms >= pipeline->flush_next_ms || must_drop || pipeline->is_draining;
    if (has_pending(pipeline) && (is_due || is_at_end(pipeline)))
        begin_flush(pipeline);
}

enum fx_code pipeline_step(struct pipeline *pipeline, int64_t now_ms, int wait_ms,
                           struct fx_err *err)
{
    if (now_ms < pipeline->now_ms) /* the clock was set back: waits begin anew */
        pipeline->flush_next_ms = pipeline->claim_next_ms = pipeline->caught_up_next_ms =
            pipeline->end_next_ms = now_ms;
    pipeline->now_ms = now_ms;
    if (pipeline->flush_began_ms < 0)
        pipeline->flush_began_ms = now_ms;
    if (!pipeline->is_subscribed && subscribe(pipeline, err) != FX_OK)
        return err->code;
    serve_change(pipeline);
    pipeline->room = take_room(pipeline);
    bool may_take = pipeline->is_claimed && !pipeline->is_draining && !pipeline->must_claim &&
                    pipeline->doubt.code == FX_OK && pipeline->room > 0;
    bool has_work = pipeline->is_in_flight || pipeline->pending > 0;
    if (intake_poll(pipeline->options.intake, has_work ? 1 : wait_ms,
                    may_take ? arrive_message : NULL, pipeline, err) != FX_OK) {
        if (err->code != FX_ECLAIM)
            return err->code;
        if (pipeline->doubt.code == FX_OK)
            pipeline->doubt = *err;
        fx_err_clear(err);
    }
    pipeline->must_poll = false;
    if (pipeline->has_unread)
        arrive_step_over(pipeline);
    seek_wanted(pipeline);
    if (pipeline->is_in_flight && pipeline->doubt.code == FX_OK)
        poll_flush(pipeline, 0);
    if (!pipeline->is_in_flight && pipeline->is_claimed &&
        pipeline->now_ms >= pipeline->caught_up_next_ms)
        ask_caught_up(pipeline);
    flush_if_due(pipeline);
    check_done(pipeline);
    return settle_doubt(pipeline, err);
}

bool pipeline_is_done(const struct pipeline *pipeline)
{
    return pipeline->is_done;
}

void pipeline_drain(struct pipeline *pipeline)
{
    pipeline->is_draining = true;
}

const struct pipeline_stats *pipeline_stats(const struct pipeline *pipeline)
{
    return &pipeline->stats;
}

const char *pipeline_trouble(const struct pipeline *pipeline)
{
    return pipeline->trouble;
}
