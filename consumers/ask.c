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
    if (ask->count < ASK_RANGES_MAX)
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
    if (gap->opened_ms > run->caught_up_ms - policy->after_ms)
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

/* In the order of the message, and no more than fits into one. */
static void settle_gaps(struct ask *ask)
{
    size_t size = 2;
    int count = 0;
    qsort(ask->gaps, (size_t)ask->count, sizeof ask->gaps[0], compare_gaps);
    for (; count < ask->count; count++) {
        size += RANGE_BYTES;
        if (is_new_run(ask, count))
            size += RUN_BYTES + strlen(ask->gaps[count].topic);
        if (size > ASK_BODY_MAX)
            break;
    }
    ask->left_out += ask->count - count;
    ask->count = count;
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

int64_t ask_wait_ms(int64_t after_ms, int attempt)
{
    int64_t wait_ms = after_ms;
    for (int i = 1; i < attempt && wait_ms < ASK_WAIT_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < ASK_WAIT_MAX_MS ? wait_ms : ASK_WAIT_MAX_MS;
}

struct ask_decision ask_decide(struct ask *ask, const struct ask_policy *policy,
                               const struct ask_known *known)
{
    struct ask_decision decision = {ASK_NOTHING, 1, policy->now_ms};
    settle_gaps(ask);
    if (ask->count == 0) {
        if (known->attempts > 0 && !ask->is_unknown)
            decision.action = ASK_WITHDRAW;
        return decision;
    }
    if (known->attempts > 0 && decision.asked_at_ms <= known->asked_at_ms)
        decision.asked_at_ms = known->asked_at_ms + 1;
    if (known->attempts == 0 || !is_covered(ask, known->body)) {
        decision.action = ASK_SEND;
    } else if (policy->now_ms - known->asked_at_ms >=
               ask_wait_ms(policy->after_ms, known->attempts)) {
        decision.action = ASK_SEND;
        decision.attempt = known->attempts + 1;
    }
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
