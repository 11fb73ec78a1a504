/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-test-site - sampling sites and laboratories 采样点.
 *
 * A result's line may say when its tube was sampled, "sampled_at": what is counted is the time
 * from then to the result, in whole minutes. Without it the turnaround stays unknown (null).
 */
#include "station.h"

#include "../common/day.h"

#define MINUTE_MS 60000

static enum fx_code read_sampled_at(const json_t *json, struct record_line *line,
                                    int64_t *sampled_ms, struct fx_err *err)
{
    struct fx_err unread = FX_ERR_INIT;
    if (json_is_integer(json)) {
        *sampled_ms = json_integer_value(json);
        return FX_OK;
    }
    if (json_is_string(json) && day_parse(json_string_value(json), sampled_ms, &unread) == FX_OK)
        return FX_OK;
    return record_refuse(line, "sampled_at", err, "is not a time; write 2022-02-10T08:30:00+08:00");
}

static enum fx_code complete(json_t *json, struct record_line *line, struct fx_err *err)
{
    int64_t at_ms = event_envelope(&line->event, ENVELOPE_OCCURRED_AT)->number;
    int64_t sampled_ms = 0;
    const json_t *sampled = json_object_get(json, "sampled_at");
    if (sampled == NULL)
        return FX_OK;
    if (json_object_get(json, "minutes_since_sampling") != NULL)
        return record_refuse(line, "sampled_at", err,
                             "says twice what minutes_since_sampling says");
    if (read_sampled_at(sampled, line, &sampled_ms, err) != FX_OK)
        return err->code;
    if (sampled_ms > at_ms)
        return record_refuse(line, "sampled_at", err, "lies after the event's own time");
    int64_t since_ms = 0;
    if (__builtin_sub_overflow(at_ms, sampled_ms, &since_ms))
        return record_refuse(line, "sampled_at", err, "lies too far before the event's own time");
    json_int_t minutes = since_ms / MINUTE_MS;
    if (json_object_set_new(json, "minutes_since_sampling", json_integer(minutes)) != 0 ||
        json_object_del(json, "sampled_at") != 0)
        return fx_err_set(err, FX_EMEMORY, "no memory for a line");
    return FX_OK;
}

int main(int argc, char **argv)
{
    static const struct dialect dialect = {
        .program = "fx-test-site",
        .kind = "test_site",
        .summary = "Takes a sampling site's or laboratory's lines, stores each durably, and sends\n"
                   "it to Kafka until it is acknowledged. \"sampled_at\" on a line becomes\n"
                   "minutes_since_sampling.",
        .complete = complete};
    return station_main(&dialect, argc, argv);
}
