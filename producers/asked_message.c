/* SPDX-License-Identifier: Apache-2.0 */
#include "asked_message.h"

#include "../common/day.h"
#include "../common/kafka.h"
#include "../common/text.h"
#include "../schemas/guard.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_MAX 1000000
#define RUN_DIGITS 12

struct parsing {
    const char *topic;
    struct asked_message *message;
    int spans; /* of all topics */
};

/* Twelve digits as we write them: lower case, nothing around them. */
static bool parse_run(const char *text, int64_t *run)
{
    if (text == NULL || strlen(text) != RUN_DIGITS ||
        strspn(text, "0123456789abcdef") != RUN_DIGITS)
        return false;
    *run = (int64_t)strtoull(text, NULL, 16);
    return true;
}

static enum fx_code parse_range(struct parsing *parsing, const json_t *range, int64_t run,
                                bool is_ours, struct fx_err *err)
{
    const json_t *first = json_array_get(range, 0);
    const json_t *last = json_array_get(range, 1);
    if (json_array_size(range) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return fx_err_set(err, FX_EINPUT, "a range is no pair of integers");
    const struct outbox_span span = {run, json_integer_value(first), json_integer_value(last)};
    if (span.first < 1 || span.last < span.first)
        return fx_err_set(err, FX_EINPUT, "a range is empty or begins below 1");
    if (++parsing->spans > ASKED_SPANS_MAX)
        return fx_err_set(err, FX_EINPUT, "more than %d ranges", ASKED_SPANS_MAX);
    if (is_ours)
        parsing->message->spans[parsing->message->count++] = span;
    return FX_OK;
}

static enum fx_code parse_entry(struct parsing *parsing, const json_t *entry, struct fx_err *err)
{
    const char *topic = json_string_value(json_object_get(entry, "topic"));
    const json_t *ranges = json_object_get(entry, "ranges");
    int64_t run = 0;
    if (topic == NULL || !text_is_name(topic, strlen(topic), KAFKA_TOPIC_MAX - 1))
        return fx_err_set(err, FX_EINPUT, "\"topic\" is no topic's name");
    if (!parse_run(json_string_value(json_object_get(entry, "run")), &run))
        return fx_err_set(err, FX_EINPUT, "\"run\" is not 12 hexadecimal digits");
    if (json_array_size(ranges) == 0)
        return fx_err_set(err, FX_EINPUT, "\"ranges\" is no array, or an empty one");
    bool is_ours = strcmp(topic, parsing->topic) == 0;
    for (size_t i = 0; i < json_array_size(ranges); i++)
        if (parse_range(parsing, json_array_get(ranges, i), run, is_ours, err) != FX_OK)
            return err->code;
    return FX_OK;
}

static enum fx_code parse_head(const json_t *root, int64_t append_ms, struct asked_message *message,
                               struct fx_err *err)
{
    const json_t *attempt = json_object_get(root, "attempt");
    const char *asked_at = json_string_value(json_object_get(root, "asked_at"));
    struct fx_err unused = FX_ERR_INIT;
    if (!json_is_object(root))
        return fx_err_set(err, FX_EINPUT, "not a JSON object");
    if (asked_at == NULL || day_parse(asked_at, &message->asked_at_ms, &unused) != FX_OK)
        return fx_err_set(err, FX_EINPUT, "\"asked_at\" is no time");
    /* Later requests are told by their time: one from the future would silence them all. */
    if (message->asked_at_ms < DAY_2020_MS || message->asked_at_ms > append_ms + ASKED_AHEAD_MS)
        return fx_err_set(err, FX_EINPUT, "\"asked_at\" is not near the time of the message");
    message->attempt = json_integer_value(attempt);
    if (!json_is_integer(attempt) || message->attempt < 1 || message->attempt > ATTEMPT_MAX)
        return fx_err_set(err, FX_EINPUT, "\"attempt\" is no integer from 1 to %d", ATTEMPT_MAX);
    if (json_array_size(json_object_get(root, "runs")) == 0)
        return fx_err_set(err, FX_EINPUT, "\"runs\" is no array, or an empty one");
    return FX_OK;
}

enum fx_code asked_parse(const struct asked_bytes *came, const char *topic,
                         struct asked_message *message, struct fx_err *err)
{
    if (came->size > ASKED_BYTES_MAX)
        return fx_err_set(err, FX_EINPUT, "%zu bytes; at most %d", came->size, ASKED_BYTES_MAX);
    message->count = 0;
    struct parsing parsing = {topic, message, 0};
    json_t *root = guard_load(came->bytes, came->size, JSON_REJECT_DUPLICATES, NULL);
    if (guard_was_short())
        return fx_err_set(err, FX_EMEMORY, "no memory for a request");
    enum fx_code code = parse_head(root, came->append_ms, message, err);
    const json_t *runs = json_object_get(root, "runs");
    for (size_t i = 0; code == FX_OK && i < json_array_size(runs); i++)
        code = parse_entry(&parsing, json_array_get(runs, i), err);
    json_decref(root);
    return code;
}
