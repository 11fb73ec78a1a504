/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - which missing numbers a source is asked to send again, and when.
 *
 * Pure: rows of source_gap come in, a decision and the message's text come out. The rule:
 *   - a gap is asked for when its partition is caught up and it has been open for after_ms: what
 *     is still on its way in Kafka or in the outbox is not missing;
 *   - what the source said it holds no longer (oldest_kept), and runs in quarantine, are left out;
 *   - a request is sent when it asks for a number that the one before did not, and again, with the
 *     next attempt, when the same is still open after a wait: after_ms, doubling up to
 *     ASK_WAIT_MAX_MS. A request of which a part was answered is no new request;
 *   - when there are more gaps than a message holds, attempt k asks for the k-th part of them, the
 *     newest first and round again: what a source cannot answer keeps nobody else waiting. The wait
 *     doubles once a round, of which each part has its share, at least after_ms; a request that is
 *     answered in full is followed by the next at once;
 *   - when nothing is left, the request is withdrawn. As long as a partition with open gaps is not
 *     caught up nothing is withdrawn.
 *
 * Limits: ASK_RANGES_MAX ranges and ASK_BODY_MAX bytes a message, ASK_GAPS_MAX gaps a source. The
 * newest gaps come first, as outboxes keep events for some days.
 */
#ifndef FX_ASK_H
#define FX_ASK_H

#include "../common/buf.h"
#include "../common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ASK_RANGES_MAX 512
#define ASK_GAPS_MAX 8192
#define ASK_BODY_MAX 49152                     /* bytes; a station reads messages of 64 KiB */
#define ASK_WAIT_MAX_MS (6 * INT64_C(3600000)) /* longest wait before the same is asked again */
#define ASK_STALE_MS INT64_C(60000)   /* caught_up_at older than this: the partition is behind */
#define ASK_AHEAD_MS INT64_C(3600000) /* opened_at that far ahead: by a broker's wrong clock */

struct ask_policy {
    int64_t after_ms; /* how long a gap is left alone; also the first wait */
    int64_t now_ms;   /* the database's clock */
};

/* Numbers of a run that are missing. */
struct ask_gap {
    const char *topic; /* borrowed as long as the ask is used */
    int64_t run;
    int64_t first;
    int64_t last;
    int64_t opened_ms;
};

/* What is known of that run and its partition. */
struct ask_run {
    int64_t caught_up_ms; /* -1: never */
    int64_t oldest_kept;  /* lowest number its source still holds, 0: none, -1: it did not say */
    int64_t announced;    /* highest number when it said so */
    bool is_quarantined;
};

/* What one source is to be asked for. */
struct ask {
    struct ask_gap gaps[ASK_GAPS_MAX]; /* after ask_decide: those of the message, in its order */
    int count;
    int64_t left_out; /* gaps beyond the limits of the message */
    bool is_unknown;  /* some partition of the source's gaps is behind */
};

/* The request sent last. */
struct ask_known {
    int64_t asked_at_ms;
    int attempts;     /* 0: there is none */
    const char *body; /* by ask_write_body */
};

enum ask_action { ASK_NOTHING, ASK_SEND, ASK_WITHDRAW };

struct ask_decision {
    enum ask_action action;
    int attempt;         /* ASK_SEND: 1, 2, … */
    int64_t asked_at_ms; /* ASK_SEND: later than that of the request before */
};

void ask_reset(struct ask *ask);

/* Adds a gap if the rule lets it be asked for; without the numbers that are gone. */
void ask_add(struct ask *ask, const struct ask_policy *policy, const struct ask_gap *gap,
             const struct ask_run *run);

/* What is to be done about a source whose gaps were all added. */
struct ask_decision ask_decide(struct ask *ask, const struct ask_policy *policy,
                               const struct ask_known *known);

/*
 * After ask_decide: what is asked for, as the "runs" of the message,
 * [{"topic":"…","run":"0123456789ab","ranges":[[4811,4813]]}]. Kept for the next ask_known.
 */
void ask_write_body(const struct ask *ask, struct buf *out);

/* The whole message: schemas/README.md, "Asking for a resend". */
void ask_write(const struct ask_decision *decision, const char *body, struct buf *out);

/* How long to wait after attempt before the same is asked again. */
int64_t ask_wait_ms(int64_t after_ms, int attempt);

#endif
