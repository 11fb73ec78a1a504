/* SPDX-License-Identifier: Apache-2.0 */
#include "station_core.h"

#include "../common/day.h"
#include "../common/log.h"
#include "../common/text.h"
#include "station_input.h"
#include "suggest.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LOGGED_MAX 1000             /* wrong lines told in the log; more are only counted */
#define CLOCK_AHEAD_MS (10 * 60000) /* a time further ahead holds no later line up */

void answer_number(struct answers *answers, int64_t run, int64_t seq)
{
    if (answers != NULL)
        buf_append_format(&answers->out, "{\"ok\":true,\"run\":\"%012llx\",\"seq\":%lld}\n",
                          (unsigned long long)run, (long long)seq);
}

void answer_refusal(struct answers *answers, const char *field, const char *reason)
{
    if (answers == NULL)
        return;
    buf_append_text(&answers->out, "{\"ok\":false,");
    if (field[0] != '\0') {
        buf_append_text(&answers->out, "\"field\":");
        event_append_text(&answers->out, field, strlen(field));
        buf_append_byte(&answers->out, ',');
    }
    buf_append_text(&answers->out, "\"reason\":");
    event_append_text(&answers->out, reason, strlen(reason));
    buf_append_text(&answers->out, "}\n");
}

void answer_settle(struct answers *answers)
{
    if (answers != NULL && answers->pending == 0 && !answers->out.is_failed)
        answers->settled = answers->out.size;
}

/* One more line in the open batch that wants an answer. */
static void note_pending(struct station *station, struct answers *answers)
{
    if (answers == NULL)
        return;
    if (answers->pending++ == 0) {
        answers->next = station->pending;
        station->pending = answers;
    }
}

enum fx_code station_begin(struct station *station, struct fx_err *err)
{
    if (station->batch_lines > 0)
        return FX_OK;
    enum fx_code code = outbox_begin(station->outbox, err);
    if (code == FX_OK) {
        station->batch_lines = 1;
        station->counts_before = station->counts;
        station->batch_since_ms = day_monotonic_ms();
    }
    return code;
}

enum fx_code station_commit(struct station *station, struct fx_err *err)
{
    if (station->batch_lines == 0)
        return FX_OK;
    /* The refused lines reach the disk before the position and the answers that go past them. */
    enum fx_code code = rejects_sync(&station->rejects, err);
    for (const struct answers *at = station->pending; code == FX_OK && at != NULL; at = at->next)
        code = buf_check(&at->out, err); /* nothing is stored that could not be answered */
    if (code == FX_OK && station->input != NULL)
        code = input_note(station->input, err);
    if (code == FX_OK)
        code = outbox_commit(station->outbox, err);
    if (code != FX_OK) {
        station_rollback(station, err);
        return code;
    }
    station->batch_lines = 0;
    while (station->pending != NULL) {
        struct answers *answers = station->pending;
        station->pending = answers->next;
        answers->pending = 0;
        answers->settled = answers->out.size;
    }
    return FX_OK;
}

/* NULL: the post has no name of its own, or was not heard of yet. */
static struct outbox_run *own_run(const struct station *station)
{
    const char *own = station->options->source;
    return own == NULL ? NULL : outbox_current_run(station->outbox, own);
}

static void count_refused(struct station *station, struct outbox_run *run, int64_t lines)
{
    station->counts.refused += lines;
    if (run != NULL && lines > 0)
        outbox_count_refused(station->outbox, run, lines);
}

static void give_up_batch(struct station *station)
{
    int64_t stored = station->counts.stored - station->counts_before.stored;
    outbox_rollback(station->outbox);
    station->counts = station->counts_before;
    station->batch_lines = 0;
    if (stored > 0)
        fx_log(FX_LOG_ERROR, "batch_lost", "events=%lld stored_before=%lld", (long long)stored,
               (long long)station->counts.stored);
}

void station_rollback(struct station *station, const struct fx_err *err)
{
    int64_t refused = 0;
    if (station->batch_lines > 0)
        give_up_batch(station);
    rejects_drop(&station->rejects);
    while (station->pending != NULL) {
        struct answers *answers = station->pending;
        station->pending = answers->next;
        answers->out.size = answers->settled;
        refused += answers->pending;
        for (; answers->pending > 0; answers->pending--)
            answer_refusal(answers, "", err->text);
        answers->settled = answers->out.size;
    }
    count_refused(station, own_run(station), refused);
}

static void report(struct station *station, const struct origin *origin, const char *reason)
{
    char masked[FX_ERR_TEXT_MAX];
    char quoted[360];
    station->counts.rejected++;
    if (station->counts.rejected > LOGGED_MAX)
        return;
    text_copy(masked, sizeof masked, reason);
    suggest_mask(masked);
    fx_log(FX_LOG_WARN, "line_rejected", "line=%lld field=%s reason=%s", (long long)origin->number,
           station->line.is_field_known ? station->line.field : "unknown",
           fx_log_quote(quoted, sizeof quoted, masked));
    if (station->counts.rejected == LOGGED_MAX)
        fx_log(FX_LOG_WARN, "line_rejected_many", "further_lines=only_counted");
}

static void copy_text(char *out, const struct event_value *value)
{
    memcpy(out, value->text, (size_t)value->size);
    out[value->size] = '\0';
}

/* The run of the checked line's source. */
static enum fx_code take_run(struct station *station, struct outbox_run **run, struct fx_err *err)
{
    const struct event *event = &station->line.event;
    char source[SCHEMA_SOURCE_MAX + 1];
    char region[SCHEMA_REGION_MAX + 1];
    copy_text(source, event_envelope(event, ENVELOPE_SOURCE));
    copy_text(region, event_envelope(event, ENVELOPE_REGION));
    return outbox_take_run(station->outbox, source, region, run, err);
}

/* A clock that was set back a little: the source's last time goes on. A last time that is further
 * ahead shows that the clock was wrong then, and is right now. */
static void put_clock_right(struct station *station, struct outbox_run *run)
{
    struct event_value *at = &station->line.event.values[ENVELOPE_OCCURRED_AT];
    if (run->last_at_ms > station->now_ms + CLOCK_AHEAD_MS)
        run->last_at_ms = 0;
    if (!station->line.is_clock || at->number >= run->last_at_ms)
        return;
    at->number = run->last_at_ms;
    if (station->counts.clock_back++ == 0)
        fx_log(FX_LOG_WARN, "clock_back", "effect=last_time_used");
}

enum fx_code station_store(struct station *station, struct stored_event *stored, struct fx_err *err)
{
    struct event *event = &station->line.event;
    uint8_t bytes[WIRE_EVENT_MAX];
    struct outbox_run *run = NULL;
    if (take_run(station, &run, err) != FX_OK)
        return err->code;
    put_clock_right(station, run);
    event->values[ENVELOPE_RUN].number = run->run;
    event->values[ENVELOPE_SEQ].number = run->last_seq + 1;
    struct outbox_event row = {.bytes = bytes, .stored_at_ms = station->now_ms, .id = stored->id};
    if (event_encode(event, bytes, &row.size, err) != FX_OK)
        return err->code;
    if (station->dialect->admit != NULL &&
        station->dialect->admit(&station->line, station->outbox, err) != FX_OK)
        return err->code;
    int64_t at_ms = event_envelope(event, ENVELOPE_OCCURRED_AT)->number;
    row.occurred_at_ms = at_ms <= station->now_ms + CLOCK_AHEAD_MS ? at_ms : 0;
    run->last_line_ms = station->now_ms;
    stored->run = run;
    return outbox_append(station->outbox, run, &row, err);
}

/* A line with an id that was taken before is answered with the number it has. */
static enum fx_code find_repeated(struct station *station, struct outbox_number *number,
                                  struct fx_err *err)
{
    char source[SCHEMA_SOURCE_MAX + 1];
    *number = (struct outbox_number){0, 0};
    if (station->line.id == NULL)
        return FX_OK;
    copy_text(source, event_envelope(&station->line.event, ENVELOPE_SOURCE));
    return outbox_find_line(station->outbox, source, station->line.id, number, err);
}

/* Counts, logs, keeps and answers the refused line at hand. */
static void refuse(struct station *station, const struct origin *origin,
                   const struct reject *reject)
{
    report(station, origin, reject->reason);
    rejects_add(&station->rejects, reject);
    answer_refusal(origin->answers, reject->field, reject->reason);
    note_pending(station, origin->answers);
}

/* The run that a refused line is put down to: its source's, else the post's own. A source of which
 * no line was ever good gets none for it: to make up a name costs nothing, but a run costs memory
 * here and a row in the city. NULL: none. */
static struct outbox_run *find_run(const struct station *station)
{
    const struct event_value *named = event_envelope(&station->line.event, ENVELOPE_SOURCE);
    char source[SCHEMA_SOURCE_MAX + 1];
    struct outbox_run *run = NULL;
    if (text_is_name(named->text, (size_t)named->size, SCHEMA_SOURCE_MAX)) {
        copy_text(source, named);
        run = outbox_current_run(station->outbox, source);
    }
    return run != NULL ? run : own_run(station);
}

static void reject(struct station *station, const struct origin *origin,
                   const struct reject *reject, struct outbox_run *run)
{
    refuse(station, origin, reject);
    if (run == NULL)
        return;
    run->refused++;
    outbox_touch(station->outbox, run);
}

static bool is_blank(const char *text, size_t size)
{
    while (size > 0 && (*text == ' ' || *text == '\t' || *text == '\r')) {
        text++;
        size--;
    }
    return size == 0;
}

/* Opens a batch if need be. On error the line waits for the rollback's answer. */
static enum fx_code count_line(struct station *station, const struct origin *origin,
                               struct fx_err *err)
{
    if (station_begin(station, err) != FX_OK) {
        note_pending(station, origin->answers);
        return err->code;
    }
    station->batch_lines++;
    station->counts.lines++;
    return FX_OK;
}

enum fx_code station_reject_long(struct station *station, const struct origin *origin,
                                 struct fx_err *err)
{
    const struct reject wrong = {origin->number, "", "the line is longer than 65536 bytes", "", 0};
    _Static_assert(RECORD_LINE_MAX == 65536, "the reason says so");
    if (count_line(station, origin, err) != FX_OK)
        return err->code;
    station->line.is_field_known = true;
    station->line.field[0] = '\0';
    reject(station, origin, &wrong, own_run(station));
    return FX_OK;
}

void station_turn_away(struct station *station, const struct origin *origin, const char *text,
                       size_t size)
{
    struct fx_err wrong = FX_ERR_INIT;
    if (text != NULL && is_blank(text, size))
        return;
    if (station->is_ending) { /* its number could come behind the ENDED of its run */
        answer_refusal(origin->answers, "", "the station is stopping");
    } else {
        bool is_read = text != NULL && record_read(station->record, text, size, &station->line,
                                                   &wrong) != FX_EMEMORY;
        count_refused(station, is_read ? find_run(station) : own_run(station), 1);
        answer_refusal(origin->answers, "", "the outbox is full");
    }
    answer_settle(origin->answers);
}

enum fx_code station_take(struct station *station, const struct origin *origin, const char *text,
                          size_t size, struct fx_err *err)
{
    struct outbox_number number;
    if (is_blank(text, size))
        return FX_OK;
    if (count_line(station, origin, err) != FX_OK)
        return err->code;
    station->line.now_ms = station->now_ms;
    enum fx_code code = record_read(station->record, text, size, &station->line, err);
    if (code == FX_OK)
        code = find_repeated(station, &number, err);
    if (code == FX_OK && number.seq != 0) {
        station->counts.repeated++;
        answer_number(origin->answers, number.run, number.seq);
        note_pending(station, origin->answers);
        return FX_OK;
    }
    struct stored_event stored = {station->line.id, NULL};
    if (code == FX_OK)
        code = station_store(station, &stored, err);
    if (code == FX_EINPUT) {
        char reason[FX_ERR_TEXT_MAX];
        text_copy(reason, sizeof reason, record_reason(&station->line, err));
        const struct reject wrong = {origin->number, station->line.field, reason, text, size};
        fx_err_clear(err);
        reject(station, origin, &wrong, find_run(station));
        return FX_OK;
    }
    if (code == FX_OK) {
        station->counts.stored++;
        answer_number(origin->answers, stored.run->run, stored.run->last_seq);
    }
    note_pending(station, origin->answers);
    return code;
}
