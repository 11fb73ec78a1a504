/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resend_fuzz - what asks for events again: messages of the resend topic, and what a person types.
 *
 * Every input is read as a message, as a body that was sent before, and as an operand of --resend,
 * --write-off, --release and --accept-loss. Promised:
 *   - a message that is obeyed asks for numbers from 1 on, and written by the asking side it is the
 *     same message again;
 *   - whatever the body sent before looks like, what is missing is asked for;
 *   - the same request twice at once is sent once;
 *   - stations and fx-setup read SOURCE:RUN:FIRST-LAST alike, and the command that a station gets
 *     says what was typed;
 *   - a refusal says why.
 */
#include "fuzz_target.h"

#include "../../common/day.h"
#include "../../consumers/ask.h"
#include "../../consumers/decide_text.h"
#include "../../producers/asked_message.h"
#include "../../producers/station_command.h"

#include <jansson.h>
#include <strings.h>

#define TOPIC "t.checkpoint"
#define APPEND_MS INT64_C(1644453000000) /* 2022-02-10T08:30+08:00 */

static const char *const no_names[] = {NULL};

static void open_target(void)
{
}

/* ---- messages -------------------------------------------------------------------------------- */

static void fill_ask(struct ask *ask, const struct asked_message *message)
{
    ask_reset(ask);
    for (int i = 0; i < message->count; i++) {
        const struct outbox_span *span = &message->spans[i];
        ask->gaps[ask->count++] =
            (struct ask_gap){TOPIC, span->run, span->first, span->last, APPEND_MS - i};
    }
}

/* As the asking side writes it; another partition's runs, and unknown members, are gone then. */
static void check_again(const struct ask *ask, const struct asked_message *message)
{
    static struct asked_message again;
    const struct ask_decision decision = {ASK_SEND, (int)message->attempt, message->asked_at_ms};
    struct buf body = BUF_INIT;
    struct buf text = BUF_INIT;
    ask_write_body(ask, &body);
    ask_write(&decision, buf_text(&body), &text);
    if (message->count > 0 && text.size <= ASKED_BYTES_MAX) {
        const struct asked_bytes came = {(char *)text.data, text.size, APPEND_MS};
        assert_ok(asked_parse(&came, TOPIC, &again, &err));
        assert_true(again.asked_at_ms == message->asked_at_ms);
        assert_true(again.attempt == message->attempt);
        assert_int_equal(again.count, message->count);
        for (int i = 0; i < again.count; i++) {
            assert_true(again.spans[i].run == message->spans[i].run);
            assert_true(again.spans[i].first == message->spans[i].first);
            assert_true(again.spans[i].last == message->spans[i].last);
        }
    }
    buf_release(&body);
    buf_release(&text);
}

/* The same numbers, asked for anew: sent, and not sent again at once. Numbers that a message names
 * twice are no gaps of a ledger. */
static void check_once(struct ask *ask, const struct asked_message *message)
{
    const struct ask_policy policy = {600000, APPEND_MS};
    struct ask_known known = {0};
    struct buf body = BUF_INIT;
    for (int i = 0; i < message->count; i++)
        for (int k = 0; k < i; k++)
            if (message->spans[i].run == message->spans[k].run &&
                message->spans[i].first <= message->spans[k].last &&
                message->spans[k].first <= message->spans[i].last)
                return;
    if (message->count == 0 || message->count > 64)
        return;
    assert_int_equal(ask_decide(ask, &policy, &known).action, ASK_SEND);
    ask_write_body(ask, &body);
    known = (struct ask_known){APPEND_MS, 1, buf_text(&body)};
    fill_ask(ask, message);
    assert_int_equal(ask_decide(ask, &policy, &known).action, ASK_NOTHING);
    buf_release(&body);
}

static bool check_message(const uint8_t *bytes, size_t size)
{
    static struct asked_message message;
    static struct ask ask;
    struct fx_err err = FX_ERR_INIT;
    const struct asked_bytes came = {(const char *)bytes, size, APPEND_MS};
    if (asked_parse(&came, TOPIC, &message, &err) != FX_OK) {
        fuzz_check_refusal(&err, FX_EINPUT, no_names);
        return false;
    }
    assert_in_range(message.count, 0, ASKED_SPANS_MAX);
    assert_true(message.asked_at_ms >= DAY_2020_MS &&
                message.asked_at_ms <= APPEND_MS + ASKED_AHEAD_MS);
    for (int i = 0; i < message.count; i++) {
        assert_true(message.spans[i].first >= 1 && message.spans[i].first <= message.spans[i].last);
        assert_true(message.spans[i].run >= 0 && message.spans[i].run < SCHEMA_RUN_LIMIT);
    }
    fill_ask(&ask, &message);
    check_again(&ask, &message);
    check_once(&ask, &message);
    return true;
}

/* text as the body of the last request: whatever it is, decided is in bounded time, and what it
 * cannot have asked for is asked for. */
static void check_known(const char *text)
{
    static struct ask ask;
    const struct ask_policy policy = {600000, APPEND_MS};
    const struct ask_known known = {APPEND_MS, 1, text};
    ask_reset(&ask);
    for (int i = 0; i < 4; i++)
        ask.gaps[ask.count++] = (struct ask_gap){TOPIC, 0x0123456789ab + i / 2, 4811 + i % 2 * 4,
                                                 4813 + i % 2 * 4, APPEND_MS - i};
    struct ask_decision decision = ask_decide(&ask, &policy, &known);
    assert_int_equal(ask.count, 4);
    if (strstr(text, TOPIC) == NULL)
        assert_int_equal(decision.action, ASK_SEND);
    assert_int_equal(decision.attempt, 1);
}

/* ---- what a person types --------------------------------------------------------------------- */

static void check_command(const char *text, const struct decide_numbers *numbers, struct buf *line)
{
    json_t *command = json_loadb((char *)line->data, line->size, JSON_REJECT_DUPLICATES, NULL);
    const char *run = json_string_value(json_object_get(command, "run"));
    if (!json_is_object(command) || run == NULL)
        fail_msg("'%s' makes no command: %s", text, buf_text(line));
    assert_true(command_is_one((char *)line->data, line->size));
    assert_string_equal(json_string_value(json_object_get(command, "source")), numbers->source);
    assert_true((int64_t)strtoull(run, NULL, 16) == numbers->run);
    assert_true(json_integer_value(json_object_get(command, "first")) == numbers->first);
    assert_true(json_integer_value(json_object_get(command, "last")) == numbers->last);
    json_decref(command);
}

static bool check_resend(const char *text)
{
    const struct station_options options = {.resend = text};
    const char *const names[] = {"--resend", NULL};
    struct decide_numbers numbers = {.first = -7};
    struct fx_err err = FX_ERR_INIT;
    struct fx_err other = FX_ERR_INIT;
    struct buf line = BUF_INIT;
    bool is_good = decide_parse_numbers(text, &numbers, &err) == FX_OK;
    if (!is_good) {
        fuzz_check_refusal(&err, FX_ECONFIG, no_names);
        assert_int_equal(numbers.first, -7);
    }
    if (command_format(&options, &line, &other) == FX_OK) {
        if (!is_good)
            fail_msg("a station takes '%s', fx-setup does not: %s", text, err.text);
        check_command(text, &numbers, &line);
    } else {
        fuzz_check_refusal(&other, FX_ECONFIG, names);
        if (is_good)
            fail_msg("fx-setup takes '%s', a station does not: %s", text, other.text);
    }
    buf_release(&line);
    return is_good;
}

/* A number that is read is the one that is written. */
static void check_decisions(const char *text)
{
    struct decide_numbers run = {.first = -7};
    struct decide_offsets offsets = {.first = -7};
    struct fx_err failed = FX_ERR_INIT;
    char again[DECIDE_NAME_MAX + 64];
    if (decide_parse_run(text, &run, &failed) == FX_OK) {
        snprintf(again, sizeof again, "%s:%012" PRIx64, run.source, (uint64_t)run.run);
        assert_int_equal(strcasecmp(again, text), 0);
    } else {
        fuzz_check_refusal(&failed, FX_ECONFIG, no_names);
        assert_int_equal(run.first, -7);
    }
    fx_err_clear(&failed);
    if (decide_parse_offsets(text, &offsets, &failed) == FX_OK) {
        struct decide_offsets twice = {.first = -7};
        snprintf(again, sizeof again, "%s:%d:%" PRId64 "-%" PRId64, offsets.topic,
                 (int)offsets.partition, offsets.first, offsets.last);
        assert_ok(decide_parse_offsets(again, &twice, &err));
        assert_string_equal(twice.topic, offsets.topic);
        assert_int_equal(twice.partition, offsets.partition);
        assert_true(twice.first == offsets.first && twice.last == offsets.last);
    } else {
        fuzz_check_refusal(&failed, FX_ECONFIG, no_names);
        assert_int_equal(offsets.first, -7);
    }
    fx_err_clear(&failed);
    if (decide_check_reason(text, &failed) != FX_OK)
        fuzz_check_refusal(&failed, FX_ECONFIG, no_names);
}

static bool check(const uint8_t *bytes, size_t size)
{
    bool is_taken = check_message(bytes, size);
    char *text = malloc(size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    check_known(text);
    check_decisions(text);
    is_taken |= check_resend(text);
    free(text);
    return is_taken;
}

const struct fuzz_target fuzz_target = {open_target, check};
