/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include "../common/day.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_SIZE 250
#define RUN_BYTES 60   /* of a run's entry, without its topic and ranges */
#define RANGE_BYTES 42 /* of a range, at most */

void ask_reset(struct ask *ask)
{
    ask->count = 0;
    ask->left_out = 0;
    ask->is_unknown = false;
}

/* The lowest number that the source may still hold. */
static int64_t held_from(const struct ask_run *run)
{
    if (run->oldest_kept < 0)
        return 1;
    return run->oldest_kept > 0 ? run->oldest_kept : run->announced + 1;
}

/* The place for one more gap: when all are taken that of the oldest, if fresh is newer. */
static struct ask_gap *find_place(struct ask *ask, const struct ask_gap *fresh)
{
    if (ask->count < ASK_GAPS_MAX)
        return &ask->gaps[ask->count++];
    ask->left_out++;
    struct ask_gap *oldest = &ask->gaps[0];
    for (int i = 1; i < ask->count; i++)
        if (ask->gaps[i].opened_ms < oldest->opened_ms)
            oldest = &ask->gaps[i];
    return oldest->opened_ms < fresh->opened_ms ? oldest : NULL;
}

void ask_add(struct ask *ask, const struct ask_policy *policy, const struct ask_gap *gap,
             const struct ask_run *run)
{
    fx_assert(gap->first >= 1 && gap->first <= gap->last);
    struct ask_gap wanted = *gap;
    if (wanted.first < held_from(run))
        wanted.first = held_from(run);
    if (run->is_quarantined || wanted.first > wanted.last)
        return;
    if (run->caught_up_ms < policy->now_ms - ASK_STALE_MS) {
        ask->is_unknown = true;
        return;
    }
    bool is_fresh = gap->opened_ms > run->caught_up_ms - policy->after_ms;
    if (is_fresh && gap->opened_ms < policy->now_ms + ASK_AHEAD_MS)
        return;
    struct ask_gap *place = find_place(ask, &wanted);
    if (place != NULL)
        *place = wanted;
}

static int compare_runs(const struct ask_gap *a, const struct ask_gap *b)
{
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->run > b->run) - (a->run < b->run);
}

static int compare_gaps(const void *left, const void *right)
{
    const struct ask_gap *a = left;
    const struct ask_gap *b = right;
    int order = compare_runs(a, b);
    return order != 0 ? order : (a->first > b->first) - (a->first < b->first);
}

static bool is_new_run(const struct ask *ask, int at)
{
    return at == 0 || compare_runs(&ask->gaps[at - 1], &ask->gaps[at]) != 0;
}

static int compare_ages(const void *left, const void *right)
{
    const struct ask_gap *a = left;
    const struct ask_gap *b = right;
    int order = (a->opened_ms < b->opened_ms) - (a->opened_ms > b->opened_ms);
    return order != 0 ? order : compare_gaps(left, right);
}

/* How many gaps from first on fit into one message, at least one; the newest stand first. */
static int part_from(const struct ask *ask, int first)
{
    size_t size = 2;
    int at = first;
    for (; at < ask->count && at - first < ASK_RANGES_MAX; at++) {
        size += RANGE_BYTES;
        if (at == first || is_new_run(ask, at))
            size += RUN_BYTES + strlen(ask->gaps[at].topic);
        if (size > ASK_BODY_MAX)
            break;
    }
    return at - first;
}

/* Of the gaps by age; 1 if all fit into one message. */
static int count_parts(const struct ask *ask)
{
    int parts = 0;
    for (int at = 0; at < ask->count; at += part_from(ask, at))
        parts++;
    return parts;
}

/* Leaves that part of the gaps by age (from 0), in the order of the message. */
static void take_part(struct ask *ask, int part)
{
    int first = 0;
    for (int i = 0; i < part; i++)
        first += part_from(ask, first);
    int count = part_from(ask, first);
    ask->left_out += ask->count - count;
    ask->count = count;
    memmove(ask->gaps, ask->gaps + first, (size_t)count * sizeof ask->gaps[0]);
    qsort(ask->gaps, (size_t)count, sizeof ask->gaps[0], compare_gaps);
}

/* A walk over the ranges of a body that ask_write_body wrote. */
struct scan {
    const char *at;
    char topic[TOPIC_SIZE];
    struct ask_gap gap;
};

/* false: no more ranges, or not a body of ours; then its ranges count as not asked for. */
static bool scan_next(struct scan *scan)
{
    for (;;) {
        int size = 0;
        uint64_t run = 0;
        scan->at += strspn(scan->at, "[]{},");
        if (sscanf(scan->at,
                   "\"topic\":\"%249[A-Za-z0-9._-]\",\"run\":\"%12" SCNx64 "\",\"ranges\":%n",
                   scan->topic, &run, &size) == 2 &&
            size > 0) {
            scan->gap.topic = scan->topic;
            scan->gap.run = (int64_t)run;
            scan->at += size;
            continue;
        }
        bool is_range = sscanf(scan->at, "%" SCNd64 ",%" SCNd64 "%n", &scan->gap.first,
                               &scan->gap.last, &size) == 2;
        scan->at += is_range ? size : 0;
        return is_range && scan->topic[0] != '\0';
    }
}

/* Is every gap within a range of body? Both are in the same order. */
static bool is_covered(const struct ask *ask, const char *body)
{
    struct scan scan = {.at = body};
    bool has_range = scan_next(&scan);
    for (int i = 0; i < ask->count; i++) {
        const struct ask_gap *gap = &ask->gaps[i];
        while (has_range && (compare_runs(&scan.gap, gap) < 0 ||
                             (compare_runs(&scan.gap, gap) == 0 && scan.gap.last < gap->first)))
            has_range = scan_next(&scan);
        if (!has_range || compare_runs(&scan.gap, gap) != 0 || scan.gap.first > gap->first ||
            scan.gap.last < gap->last)
            return false;
    }
    return true;
}

/* Is any number of body still missing? The gaps are in the order of body. */
static bool is_open(const struct ask *ask, const char *body)
{
    struct scan scan = {.at = body};
    int at = 0;
    while (scan_next(&scan)) {
        while (at < ask->count && (compare_runs(&ask->gaps[at], &scan.gap) < 0 ||
                                   (compare_runs(&ask->gaps[at], &scan.gap) == 0 &&
                                    ask->gaps[at].last < scan.gap.first)))
            at++;
        if (at < ask->count && compare_runs(&ask->gaps[at], &scan.gap) == 0 &&
            ask->gaps[at].first <= scan.gap.last)
            return true;
    }
    return false;
}

int64_t ask_wait_ms(int64_t after_ms, int attempt)
{
    int64_t wait_ms = after_ms;
    for (int i = 1; i < attempt && wait_ms < ASK_WAIT_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < ASK_WAIT_MAX_MS ? wait_ms : ASK_WAIT_MAX_MS;
}

/* Does the request sent last no longer ask for what it should? */
static bool is_news(struct ask *ask, const struct ask_known *known, int parts)
{
    if (known->attempts == 0)
        return true;
    qsort(ask->gaps, (size_t)ask->count, sizeof ask->gaps[0], compare_gaps);
    return parts == 1 ? !is_covered(ask, known->body) : !is_open(ask, known->body);
}

/* How long after that attempt: a round through all parts takes as long as an attempt would. */
static int64_t wait_ms(const struct ask_policy *policy, int attempt, int parts)
{
    int64_t share_ms = ask_wait_ms(policy->after_ms, (attempt - 1) / parts + 1) / parts;
    return share_ms > policy->after_ms || parts == 1 ? share_ms : policy->after_ms;
}

struct ask_decision ask_decide(struct ask *ask, const struct ask_policy *policy,
                               const struct ask_known *known)
{
    struct ask_decision decision = {ASK_NOTHING, 1, policy->now_ms};
    if (ask->count == 0) {
        if (known->attempts > 0 && !ask->is_unknown)
            decision.action = ASK_WITHDRAW;
        return decision;
    }
    if (known->attempts > 0 && decision.asked_at_ms <= known->asked_at_ms)
        decision.asked_at_ms = known->asked_at_ms + 1;
    qsort(ask->gaps, (size_t)ask->count, sizeof ask->gaps[0], compare_ages);
    int parts = count_parts(ask);
    bool is_new = is_news(ask, known, parts);
    if (is_new || policy->now_ms - known->asked_at_ms >= wait_ms(policy, known->attempts, parts))
        decision.action = ASK_SEND;
    if (decision.action == ASK_SEND && !is_new)
        decision.attempt = known->attempts + 1;
    qsort(ask->gaps, (size_t)ask->count, sizeof ask->gaps[0], compare_ages);
    take_part(ask, (decision.attempt - 1) % parts);
    return decision;
}

void ask_write_body(const struct ask *ask, struct buf *out)
{
    buf_append_byte(out, '[');
    for (int i = 0; i < ask->count; i++) {
        const struct ask_gap *gap = &ask->gaps[i];
        if (is_new_run(ask, i))
            buf_append_format(out, "%s{\"topic\":\"%s\",\"run\":\"%012" PRIx64 "\",\"ranges\":[",
                              i == 0 ? "" : "]},", gap->topic, (uint64_t)gap->run);
        buf_append_format(out, "%s[%" PRId64 ",%" PRId64 "]", is_new_run(ask, i) ? "" : ",",
                          gap->first, gap->last);
    }
    buf_append_text(out, ask->count == 0 ? "]" : "]}]");
}

void ask_write(const struct ask_decision *decision, const char *body, struct buf *out)
{
    char time[DAY_TEXT_SIZE];
    buf_append_format(out, "{\"asked_at\":\"%s\",\"attempt\":%d,\"runs\":",
                      day_format(decision->asked_at_ms, time), decision->attempt);
    buf_append_text(out, body);
    buf_append_byte(out, '}');
}
