/* SPDX-License-Identifier: Apache-2.0 */
#include "station_command.h"

#include "../common/day.h"
#include "../common/text.h"
#include "../schemas/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_SHOWN_MAX 100
#define REASON_MAX 500

static const char prefix[] = "{\"command\":";

bool command_is_one(const char *text, size_t size)
{
    return size >= sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0;
}

/* ---- what a person types ---- */

/* SOURCE:RUN:rest; out-parameters point into or are parsed from copy. */
static enum fx_code split_number(char *copy, int64_t *run, char **rest, struct fx_err *err)
{
    char *first = strchr(copy, ':');
    char *second = first == NULL ? NULL : strchr(first + 1, ':');
    if (second == NULL)
        return fx_err_set(err, FX_ECONFIG, "wants SOURCE:RUN:NUMBER");
    *first = '\0';
    *second = '\0';
    if (!text_run(first + 1, strlen(first + 1), run))
        return fx_err_set(err, FX_ECONFIG, "a run has 12 hexadecimal digits");
    if (!text_is_name(copy, strlen(copy), SCHEMA_SOURCE_MAX))
        return fx_err_set(err, FX_ECONFIG, "that is no source's name");
    *rest = second + 1;
    return FX_OK;
}

/* "7" or "7-12" */
static enum fx_code parse_range(const char *text, int64_t *first, int64_t *last, struct fx_err *err)
{
    if (!text_range(text, strlen(text), first, last) || *first < 1)
        return fx_err_set(err, FX_ECONFIG, "wants numbers from 1, as 7 or 7-12");
    return FX_OK;
}

enum fx_code command_format(const struct station_options *options, struct buf *line,
                            struct fx_err *err)
{
    char copy[256];
    char *rest = NULL;
    int64_t run = 0;
    int64_t first = 0;
    int64_t last = 0;
    const char *text = options->resend != NULL ? options->resend : options->reverse;
    if (text == NULL) {
        buf_append_text(line, "{\"command\":\"status\"}\n");
        return buf_check(line, err);
    }
    if (!text_copy(copy, sizeof copy, text) || split_number(copy, &run, &rest, err) != FX_OK ||
        parse_range(rest, &first, &last, err) != FX_OK) {
        fx_err_set(err, FX_ECONFIG, "too long");
        return fx_err_wrap(err, options->resend != NULL ? "--resend" : "--reverse");
    }
    buf_append_format(line, "%s\"%s\",\"source\":\"%s\",\"run\":\"%012" PRIx64 "\"", prefix,
                      options->resend != NULL ? "resend" : "reverse", copy, (uint64_t)run);
    if (options->resend != NULL) {
        buf_append_format(line, ",\"first\":%" PRId64 ",\"last\":%" PRId64 "}\n", first, last);
    } else {
        buf_append_format(line, ",\"seq\":%" PRId64 ",\"reason\":", first);
        event_append_text(line, options->reason, strlen(options->reason));
        buf_append_text(line, "}\n");
    }
    return buf_check(line, err);
}

/* ---- what a station does ---- */

static void append_runs(struct station *station, struct buf *out)
{
    bool is_end = false;
    int shown = 0;
    buf_append_text(out, ",\"runs\":[");
    for (int i = 0; shown < RUNS_SHOWN_MAX; i++) {
        const struct outbox_run *run = outbox_run_at(station->outbox, i, &is_end);
        if (is_end)
            break;
        if (run == NULL || run->is_ended)
            continue;
        buf_append_format(out,
                          "%s{\"source\":\"%s\",\"run\":\"%012" PRIx64 "\",\"last_seq\":%" PRId64
                          ",\"acked_seq\":%" PRId64 ",\"partition\":%d}",
                          shown++ > 0 ? "," : "", run->source, (uint64_t)run->run,
                          run->committed_seq, run->acked_seq, (int)run->partition);
    }
    buf_append_byte(out, ']');
}

static enum fx_code show_status(struct station *station, struct answers *answers,
                                struct fx_err *err)
{
    struct outbox_counts counts;
    struct shipper_counts shipped = {0};
    struct asked_counts asked = {0};
    struct fx_err trouble = FX_ERR_INIT;
    char time[DAY_TEXT_SIZE];
    struct buf *out = &answers->out;
    if (outbox_count(station->outbox, &counts, err) != FX_OK)
        return err->code;
    if (station->shipper != NULL) {
        shipper_count(station->shipper, &shipped);
        (void)!shipper_trouble(station->shipper, &trouble);
    }
    if (station->asked != NULL)
        asked_count(station->asked, &asked);
    buf_append_format(out, "{\"ok\":true,\"kind\":\"%s\",\"kept\":%" PRId64 ",\"unsent\":%" PRId64,
                      station->kind.name, counts.kept, counts.unsent);
    if (counts.oldest_ms != 0)
        buf_append_format(out, ",\"oldest_unsent\":\"%s\"", day_format(counts.oldest_ms, time));
    buf_append_format(
        out,
        ",\"bytes\":%" PRId64 ",\"open_runs\":%" PRId64 ",\"lines\":%" PRId64 ",\"stored\":%" PRId64
        ",\"rejected\":%" PRId64 ",\"repeated\":%" PRId64 ",\"refused\":%" PRId64
        ",\"clock_back\":%" PRId64 ",\"sent\":%" PRId64 ",\"acked\":%" PRId64 ",\"asked\":%" PRId64
        ",\"asked_wrong\":%" PRId64 ",\"kafka\":",
        counts.bytes, counts.runs_open, station->counts.lines, station->counts.stored,
        station->counts.rejected, station->counts.repeated, station->counts.refused,
        station->counts.clock_back, shipped.sent, shipped.acked, asked.obeyed, asked.wrong);
    const char *kafka = station->shipper == NULL ? "not used"
                        : trouble.code == FX_OK  ? "ok"
                                                 : trouble.text;
    event_append_text(out, kafka, strlen(kafka));
    append_runs(station, out);
    buf_append_text(out, "}\n");
    return FX_OK;
}

/* A command that does not unpack: memory that is short is not its fault. */
static enum fx_code misunderstood(const char *wanted, struct fx_err *err)
{
    if (guard_was_short())
        return fx_err_set(err, FX_EMEMORY, "no memory for a command");
    return fx_err_set(err, FX_EINPUT, "%s", wanted);
}

static enum fx_code resend(struct station *station, const json_t *command, struct answers *answers,
                           struct fx_err *err)
{
    const char *source = NULL;
    const char *run = NULL;
    json_int_t first = 0;
    json_int_t last = 0;
    struct outbox_resend wanted = {0};
    if (json_unpack((json_t *)(uintptr_t)command, "{s:s, s:s, s:I, s:I}", "source", &source, "run",
                    &run, "first", &first, "last", &last) != 0)
        return misunderstood("resend wants source, run, first and last", err);
    wanted.run = (int64_t)strtoull(run, NULL, 16);
    wanted.first = first;
    wanted.last = last;
    if (outbox_request_resend(station->outbox, source, &wanted, err) != FX_OK)
        return err->code;
    if (station->shipper != NULL)
        shipper_note_resend(station->shipper);
    buf_append_format(&answers->out, "{\"ok\":true,\"resent\":%" PRId64 "}\n", wanted.count);
    return FX_OK;
}

/* The reversal of a stored event into station->line: a copy of it that says what it undoes. */
static enum fx_code make_reversal(struct station *station, const char *source,
                                  const struct outbox_number *number, struct outbox_stored *stored,
                                  struct fx_err *err)
{
    struct record_line *line = &station->line;
    struct event_value *values = line->event.values;
    *line = (struct record_line){.is_field_known = true};
    if (outbox_find_event(station->outbox, source, number, stored, err) != FX_OK)
        return err->code;
    if (stored->size == 0)
        return fx_err_set(err, FX_EINPUT, "this outbox does not keep that event (any more)");
    if (stored->is_reversed)
        return fx_err_set(err, FX_EINPUT, "that event was reversed before");
    if (event_decode(&station->kind, stored->bytes, stored->size, &line->event, err) != FX_OK)
        return err->code;
    if (values[ENVELOPE_SIGN].number != 1)
        return fx_err_set(err, FX_EINPUT, "that event is itself a reversal");
    values[ENVELOPE_SIGN].number = -1;
    values[ENVELOPE_REVERSES_RUN] = (struct event_value){number->run, "", 0, false};
    values[ENVELOPE_REVERSES_SEQ] = (struct event_value){number->seq, "", 0, false};
    return FX_OK;
}

static enum fx_code reverse(struct station *station, const json_t *command, struct answers *answers,
                            struct fx_err *err)
{
    const char *source = NULL;
    const char *run = NULL;
    const char *reason = NULL;
    json_int_t seq = 0;
    struct outbox_stored stored;
    if (json_unpack((json_t *)(uintptr_t)command, "{s:s, s:s, s:I, s:s}", "source", &source, "run",
                    &run, "seq", &seq, "reason", &reason) != 0)
        return misunderstood("reverse wants source, run, seq and reason", err);
    if (strlen(reason) < 1 || strlen(reason) > REASON_MAX)
        return fx_err_set(err, FX_EINPUT, "a reason has 1 to %d bytes", REASON_MAX);
    if (station->is_ending)
        return fx_err_set(err, FX_EINPUT, "the station is stopping");
    const struct outbox_number number = {(int64_t)strtoull(run, NULL, 16), seq};
    struct stored_event by = {NULL, NULL};
    enum fx_code code = station_begin(station, err);
    if (code == FX_OK)
        code = make_reversal(station, source, &number, &stored, err);
    if (code == FX_OK)
        code = station_store(station, &by, err);
    if (code == FX_OK)
        code = outbox_note_reversal(station->outbox, stored.id, by.run, reason, err);
    if (code != FX_OK) {
        station_rollback(station, err);
        return code;
    }
    if (station_commit(station, err) != FX_OK)
        return err->code;
    answer_number(answers, by.run->run, by.run->last_seq);
    return FX_OK;
}

enum fx_code command_serve(struct station *station, const char *text, size_t size,
                           struct answers *answers, struct fx_err *err)
{
    json_t *command = guard_load(text, size, 0, NULL);
    const char *name = json_string_value(json_object_get(command, "command"));
    enum fx_code code;
    if (guard_was_short() || name == NULL)
        code = misunderstood("the command is not understood", err);
    else if (strcmp(name, "status") == 0)
        code = show_status(station, answers, err);
    else if (strcmp(name, "resend") == 0)
        code = resend(station, command, answers, err);
    else if (strcmp(name, "reverse") == 0)
        code = reverse(station, command, answers, err);
    else
        code = fx_err_set(err, FX_EINPUT, "there is no such command");
    json_decref(command);
    if (code != FX_OK)
        answer_refusal(answers, "", err->text);
    if (code == FX_EINPUT) {
        fx_err_clear(err);
        code = FX_OK;
    }
    answer_settle(answers);
    return code;
}
