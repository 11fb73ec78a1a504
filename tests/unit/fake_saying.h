/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_saying - what a message of fake_kinds says.
 */
#ifndef FX_FAKE_SAYING_H
#define FX_FAKE_SAYING_H

#include "fake_kinds.h"

#include "../../consumers/decode.h"

#define SAYING_NEVER INT64_MIN /* a number that is null */

struct saying {
    int topic;
    bool is_heartbeat;
    const char *source;
    int64_t run;
    int64_t seq; /* n of a heartbeat */
    int64_t occurred_ms;
    const char *region;
    int sign;
    int64_t reverses_run; /* SAYING_NEVER: null */
    int64_t reverses_seq;
    int64_t counted_ms;
    int post; /* of a gate */
    const char *lane;
    bool first;
    int64_t persons; /* rings of a bell */
    int64_t children;
    int64_t wait_s;     /* SAYING_NEVER: null */
    const char *origin; /* NULL: null */
    int64_t last_seq;   /* of a heartbeat */
    int64_t acked_seq;
    bool is_closed; /* its input is not open */
};

/* An event of the gate at 2022-02-10 08:30, reporting zone, that is in order. */
static inline struct saying saying_of(const char *source, int64_t run, int64_t seq)
{
    return (struct saying){.topic = TOPIC_GATE,
                           .source = source,
                           .run = run,
                           .seq = seq,
                           .occurred_ms = INT64_C(1644453000000),
                           .region = "C1-T1",
                           .sign = 1,
                           .reverses_run = SAYING_NEVER,
                           .reverses_seq = SAYING_NEVER,
                           .counted_ms = SAYING_NEVER,
                           .lane = "A",
                           .persons = 3,
                           .children = 1,
                           .wait_s = 45};
}

/* What a gate counts, drawn; where and when it was is the caller's. */
static inline void saying_draw(struct saying *saying, struct dice *dice)
{
    saying->post = dice_below(dice, 3);
    saying->lane = dice_chance(dice, 50) ? "A" : "";
    saying->first = dice_chance(dice, 50);
    saying->persons = dice_between(dice, 1, 9);
    saying->wait_s = dice_chance(dice, 30) ? SAYING_NEVER : dice_between(dice, 0, 400);
    saying->origin = dice_chance(dice, 50) ? NULL : dice_chance(dice, 50) ? "C2-T1" : "AWAY";
}

static inline void saying_text(struct decoded *fields, int field, const char *text)
{
    fields->is_null[field] = text == NULL;
    fields->texts[field] = (struct decoded_text){text, text == NULL ? 0 : (uint32_t)strlen(text)};
}

static inline void saying_number(struct decoded *fields, int field, int64_t number)
{
    fields->is_null[field] = number == SAYING_NEVER;
    fields->numbers[field] = number == SAYING_NEVER ? 0 : number;
}

/* The fields that an event's bytes stand for; texts are borrowed from saying. */
static inline struct decoded saying_fields(const struct saying *saying)
{
    struct decoded fields;
    memset(&fields, 0, sizeof fields);
    saying_text(&fields, ENVELOPE_SOURCE, saying->source);
    saying_number(&fields, ENVELOPE_RUN, saying->run);
    saying_number(&fields, ENVELOPE_SEQ, saying->seq);
    saying_number(&fields, ENVELOPE_OCCURRED_AT, saying->occurred_ms);
    saying_text(&fields, ENVELOPE_REGION, saying->region);
    saying_number(&fields, ENVELOPE_SIGN, saying->sign);
    saying_number(&fields, ENVELOPE_REVERSES_RUN, saying->reverses_run);
    saying_number(&fields, ENVELOPE_REVERSES_SEQ, saying->reverses_seq);
    saying_number(&fields, ENVELOPE_COUNTED_AT, saying->counted_ms);
    if (saying->topic == TOPIC_BELL) {
        saying_number(&fields, BELL_RINGS, saying->persons);
        return fields;
    }
    saying_number(&fields, GATE_POST, saying->post);
    saying_text(&fields, GATE_LANE, saying->lane);
    saying_number(&fields, GATE_FIRST, saying->first);
    saying_number(&fields, GATE_PERSONS, saying->persons);
    saying_number(&fields, GATE_ADULTS, saying->persons - saying->children);
    saying_number(&fields, GATE_CHILDREN, saying->children);
    saying_number(&fields, GATE_WAIT_S, saying->wait_s);
    saying_text(&fields, GATE_ORIGIN, saying->origin);
    return fields;
}

#endif
