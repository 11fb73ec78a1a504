/* SPDX-License-Identifier: Apache-2.0 */
#include "shipper_core.h"

#include "../common/day.h"
#include "../common/log.h"

#include <string.h>

#define ROWS_AT_ONCE 4096 /* of the outbox; bounds how long one pump keeps the input waiting */

static bool has_slot(const struct shipper *shipper)
{
    return shipper->count < SHIPPER_WINDOW && !shipper->is_broken;
}

/* false: nothing was handed over; try again later. */
static bool hand_over(struct shipper *shipper, const struct outbox_row *row,
                      const struct slot *content)
{
    if (!has_slot(shipper))
        return false;
    struct slot *slot = &shipper->slots[(shipper->head + shipper->count) % SHIPPER_WINDOW];
    *slot = *content;
    union {
        const void *in;
        void *out;
    } payload = {.in = row->bytes}; /* copied by librdkafka, whose parameter is not const */
    fx_assert(row->run->partition >= 0);
    if (rd_kafka_produce(shipper->topic, row->run->partition, RD_KAFKA_MSG_F_COPY, payload.out,
                         row->size, row->run->source, strlen(row->run->source), slot) == 0) {
        shipper->count++;
        shipper->counts.sent++;
        return true;
    }
    rd_kafka_resp_err_t failed = rd_kafka_last_error();
    if (failed != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        shipper->is_broken = true;
        shipper_note_trouble(shipper, FX_ERETRY, rd_kafka_err2str(failed));
    }
    return false;
}

/* content says what becomes of it; its state is the heartbeat's. */
static bool send_beat(struct shipper *shipper, struct outbox_run *run, const struct slot *content,
                      struct fx_err *err)
{
    uint8_t bytes[WIRE_EVENT_MAX];
    struct outbox *outbox = shipper->options.outbox;
    struct heartbeat heartbeat = {
        .state = content->state, .input_state = shipper->input, .at_ms = day_now_ms()};
    struct outbox_row row = {.run = run, .bytes = bytes};
    if (!has_slot(shipper) || outbox_oldest_kept(outbox, run, &heartbeat.oldest_kept, err) != FX_OK)
        return false;
    if (content->state == HEARTBEAT_ENDED)
        heartbeat.input_state = INPUT_CLOSED;
    heartbeat_encode(shipper->options.heartbeat, run, &heartbeat, bytes, &row.size);
    /*
     * Counted first: a number that is left out does no harm, one that comes again does. Two
     * messages of one number have no order, and a late copy of the first would undo the second.
     */
    if (outbox_count_beat(outbox, run, err) != FX_OK || !hand_over(shipper, &row, content))
        return false;
    if (content->state == HEARTBEAT_OPEN)
        run->is_opened = true;
    return true;
}

static bool send_state(struct shipper *shipper, struct outbox_run *run, enum heartbeat_state state,
                       struct fx_err *err)
{
    const struct slot slot = {.kind = SLOT_BEAT, .state = state, .run = run};
    return send_beat(shipper, run, &slot, err);
}

static bool wants_beat(const struct outbox_run *run, enum heartbeat_state state, bool is_current)
{
    if (run == NULL || run->is_ended || run->is_current != is_current || !run->is_stored)
        return false;
    return state != HEARTBEAT_OPEN || !run->is_opened;
}

/* Goes on with a sweep as far as the window allows. */
static void go_on(struct shipper *shipper, struct sweep *sweep, enum heartbeat_state state,
                  bool is_current, struct fx_err *err)
{
    while (!sweep->is_over) {
        bool is_end;
        struct outbox_run *run = outbox_run_at(shipper->options.outbox, sweep->next, &is_end);
        if (is_end) {
            sweep->is_over = true;
            return;
        }
        if (wants_beat(run, state, is_current) &&
            (run->partition < 0 || !send_state(shipper, run, state, err)))
            return;
        sweep->next++;
    }
}

struct reading {
    struct shipper *shipper;
    struct fx_err *err;
    int64_t until; /* the last row that may go */
    int rows;
    bool is_held; /* a row did not fit */
};

static bool visit_row(void *context, const struct outbox_row *row)
{
    struct reading *reading = context;
    struct shipper *shipper = reading->shipper;
    if (row->id > reading->until || row->run->partition < 0)
        return false;
    if (row->run->is_current && !row->run->is_opened &&
        !send_state(shipper, row->run, HEARTBEAT_OPEN, reading->err))
        return false;
    struct slot slot = {.kind = SLOT_ROW, .run = row->run, .id = row->id, .seq = row->seq};
    if (!hand_over(shipper, row, &slot))
        return false;
    shipper->cursor = row->id;
    reading->rows++;
    return true;
}

/* New rows wait until those of earlier openings are acknowledged, and the ENDED of their runs is on
 * its way. */
static int64_t last_due(const struct shipper *shipper)
{
    const struct outbox *outbox = shipper->options.outbox;
    return shipper->old.is_over ? outbox_last_id(outbox) : outbox_opening_id(outbox);
}

bool shipper_has_due(const struct shipper *shipper)
{
    return shipper->cursor < last_due(shipper);
}

static enum fx_code send_rows(struct shipper *shipper, struct fx_err *err)
{
    struct reading reading = {shipper, err, last_due(shipper), 0, false};
    struct outbox_reader reader = {shipper->cursor, ROWS_AT_ONCE, visit_row, &reading};
    if (!shipper_has_due(shipper) || !has_slot(shipper))
        return FX_OK;
    return outbox_read(shipper->options.outbox, &reader, err);
}

static bool visit_resend(void *context, const struct outbox_row *row)
{
    struct reading *reading = context;
    struct shipper *shipper = reading->shipper;
    struct slot slot = {.kind = SLOT_RESEND, .id = shipper->resend.id};
    /* Rows that were never sent get their turn, and their partition, from send_rows. */
    bool is_due = row->run->partition >= 0;
    reading->is_held = is_due && !hand_over(shipper, row, &slot);
    if (reading->is_held)
        return false;
    shipper->resend_waiting += is_due;
    shipper->resend_next = row->seq;
    reading->rows++;
    return true;
}

/* Hands over what fits of the request at work; *is_sent: that was the rest of it. */
static enum fx_code send_request(struct shipper *shipper, bool *is_sent, struct fx_err *err)
{
    struct reading reading = {shipper, err, 0, 0, false};
    struct outbox_reader reader = {shipper->resend_next, ROWS_AT_ONCE, visit_resend, &reading};
    if (outbox_read_resend(shipper->options.outbox, &shipper->resend, &reader, err) != FX_OK)
        return err->code;
    *is_sent = reading.rows == 0 && !reading.is_held;
    return FX_OK;
}

static enum fx_code next_request(struct shipper *shipper, struct fx_err *err)
{
    if (outbox_next_resend(shipper->options.outbox, shipper->resend_sent, &shipper->resend, err) !=
        FX_OK)
        return err->code;
    shipper->resend_next = shipper->resend.first - 1;
    shipper->is_resend_noted = shipper->resend.id != 0;
    return FX_OK;
}

/*
 * Requests end as soon as their own numbers are acknowledged: on a busy post something else is
 * always on its way. On a full disk they stay, all sent, and only their end is tried again.
 */
static enum fx_code end_resends(struct shipper *shipper, struct fx_err *err)
{
    if (shipper->resend_waiting == 0)
        shipper->resend_acked = shipper->resend_sent;
    if (shipper->resend_acked == 0)
        return FX_OK;
    int64_t ended = 0;
    if (outbox_end_resends(shipper->options.outbox, shipper->resend_acked, &ended, err) != FX_OK)
        return err->code;
    if (ended > 0)
        fx_log(FX_LOG_INFO, "resent", "requests=%lld", (long long)ended);
    if (shipper->resend_waiting == 0)
        shipper->resend_sent = 0; /* ids begin anew in an empty table */
    shipper->resend_acked = 0;
    return FX_OK;
}

/* One request behind the other, without waiting for the acknowledgements of the one before. */
static enum fx_code send_again(struct shipper *shipper, struct fx_err *err)
{
    for (int i = 0; i < ROWS_AT_ONCE && has_slot(shipper); i++) {
        bool is_sent = false;
        if (shipper->resend.id == 0 &&
            (!shipper->is_resend_noted || next_request(shipper, err) != FX_OK))
            break;
        if (shipper->resend.id == 0 || send_request(shipper, &is_sent, err) != FX_OK)
            break;
        if (!is_sent)
            continue;
        shipper->resend_sent = shipper->resend.id;
        shipper->resend.id = 0;
    }
    return err->code == FX_OK ? end_resends(shipper, err) : err->code;
}

/*
 * Heartbeats that runs owe the city. A run of this opening that has not said OPEN yet, or is about
 * to say ENDED, says it with that. It waits for those of earlier runs: all messages of a batch have
 * one append time, and the newest word of a source must be that of its newest run.
 */
static void send_declared(struct shipper *shipper, struct fx_err *err)
{
    while (shipper->is_declared_noted && has_slot(shipper)) {
        struct outbox_run *run = NULL;
        if (outbox_next_declared(shipper->options.outbox, shipper->declared_next, &run, err) !=
            FX_OK)
            return;
        shipper->is_declared_noted = run != NULL;
        if (run == NULL || (run->is_current && shipper->declared_waiting > 0))
            return;
        bool has_ended = !run->is_current || run->is_ended;
        const struct slot slot = {.kind = SLOT_DECLARED,
                                  .state = has_ended ? HEARTBEAT_ENDED : HEARTBEAT_ALIVE,
                                  .id = run->id,
                                  .seq = run->owed};
        bool is_due = has_ended || (run->is_opened && !shipper->is_ending);
        if (is_due && run->partition >= 0) {
            if (!send_beat(shipper, run, &slot, err))
                return;
            shipper->declared_waiting++;
        }
        shipper->declared_next = slot.id;
    }
}

bool shipper_is_drained(const struct shipper *shipper)
{
    const struct outbox *outbox = shipper->options.outbox;
    return shipper->count == 0 && shipper->resend.id == 0 && shipper->resend_sent == 0 &&
           !shipper->is_resend_noted && !shipper->is_declared_noted &&
           outbox_acked_id(outbox) == outbox_last_id(outbox);
}

static void beat(struct shipper *shipper, struct fx_err *err)
{
    int64_t now_ms = day_monotonic_ms();
    go_on(shipper, &shipper->opened, HEARTBEAT_OPEN, true, err);
    shipper->opened.is_over = false; /* more runs may come */
    if (now_ms >= shipper->alive_at_ms) {
        shipper->alive = (struct sweep){0, false};
        shipper->alive_at_ms = now_ms + shipper->options.heartbeat_ms;
    }
    if (!shipper->is_ending)
        go_on(shipper, &shipper->alive, HEARTBEAT_ALIVE, true, err);
    else if (shipper->ended.next > 0 || shipper_is_drained(shipper))
        go_on(shipper, &shipper->ended, HEARTBEAT_ENDED, true, err);
}

static enum fx_code send_due(struct shipper *shipper, struct fx_err *err)
{
    const struct outbox *outbox = shipper->options.outbox;
    if (outbox_acked_id(outbox) >= outbox_opening_id(outbox))
        go_on(shipper, &shipper->old, HEARTBEAT_ENDED, false, err);
    enum fx_code code = err->code == FX_OK ? send_rows(shipper, err) : err->code;
    if (code != FX_OK || !shipper->old.is_over)
        return code;
    code = send_again(shipper, err);
    if (code == FX_OK)
        send_declared(shipper, err);
    if (err->code == FX_OK)
        beat(shipper, err);
    return err->code;
}

/* A full disk takes no partitions of runs that have none yet. The rows of others go all the same:
 * once they are acknowledged, they can make room. */
enum fx_code shipper_send(struct shipper *shipper, struct fx_err *err)
{
    struct outbox *outbox = shipper->options.outbox;
    struct fx_err failed = FX_ERR_INIT;
    if (outbox_has_unassigned(outbox))
        (void)!outbox_assign_partitions(outbox, shipper->partitions, &failed);
    if (failed.code == FX_OK || failed.code == FX_EDISK)
        (void)!send_due(shipper, err);
    return failed.code == FX_OK ? err->code : fx_err_set(err, failed.code, "%s", failed.text);
}
