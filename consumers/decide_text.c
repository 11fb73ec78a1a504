/* SPDX-License-Identifier: Apache-2.0 */
#include "decide_text.h"

#include "../common/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 3
#define SOURCE_MAX 64
#define RUN_DIGITS 12
#define REASON_MAX 500

struct part {
    const char *bytes;
    size_t size;
};

/* Splits text at its colons. false: not exactly count parts. */
static bool split(const char *text, int count, struct part parts[PARTS_MAX])
{
    for (int i = 0; i < count; i++) {
        const char *colon = strchr(text, ':');
        if ((colon != NULL) != (i + 1 < count))
            return false;
        parts[i] = (struct part){text, colon == NULL ? strlen(text) : (size_t)(colon - text)};
        text = colon == NULL ? text : colon + 1;
    }
    return true;
}

/* "7-12", or "7" for 7-7. */
static bool parse_range(struct part part, int64_t *first, int64_t *last)
{
    return text_range(part.bytes, part.size, first, last);
}

/* SOURCE:RUN, and what follows if count is 3. */
static enum fx_code parse_run(const char *text, int count, struct decide_numbers *numbers,
                              struct fx_err *err)
{
    struct part parts[PARTS_MAX];
    const char *form = count == 3 ? "SOURCE:RUN:FIRST-LAST" : "SOURCE:RUN";
    struct decide_numbers fresh = {.first = 0};
    if (!split(text, count, parts))
        return fx_err_set(err, FX_ECONFIG, "'%.80s' is not %s", text, form);
    if (!text_is_name(parts[0].bytes, parts[0].size, SOURCE_MAX))
        return fx_err_set(err, FX_ECONFIG,
                          "'%.80s': a source is 1 to %d of [A-Za-z0-9._-], as in %s", text,
                          SOURCE_MAX, form);
    if (!text_run(parts[1].bytes, parts[1].size, &fresh.run))
        return fx_err_set(err, FX_ECONFIG, "'%.80s': a run is %d hex digits, as in %s", text,
                          RUN_DIGITS, form);
    if (count == 3 && (!parse_range(parts[2], &fresh.first, &fresh.last) || fresh.first < 1))
        return fx_err_set(err, FX_ECONFIG, "'%.80s': numbers are 7-12 or 7, from 1 on", text);
    memcpy(fresh.source, parts[0].bytes, parts[0].size);
    *numbers = fresh;
    return FX_OK;
}

enum fx_code decide_parse_numbers(const char *text, struct decide_numbers *numbers,
                                  struct fx_err *err)
{
    return parse_run(text, 3, numbers, err);
}

enum fx_code decide_parse_run(const char *text, struct decide_numbers *numbers, struct fx_err *err)
{
    return parse_run(text, 2, numbers, err);
}

enum fx_code decide_parse_offsets(const char *text, struct decide_offsets *offsets,
                                  struct fx_err *err)
{
    struct part parts[PARTS_MAX];
    struct decide_offsets fresh = {.partition = 0};
    int64_t partition;
    if (!split(text, 3, parts))
        return fx_err_set(err, FX_ECONFIG, "'%.80s' is not TOPIC:PARTITION:FIRST-LAST", text);
    if (!text_is_name(parts[0].bytes, parts[0].size, DECIDE_NAME_MAX))
        return fx_err_set(err, FX_ECONFIG, "'%.80s': that is no topic's name", text);
    if (!text_number(parts[1].bytes, parts[1].size, &partition) || partition > INT32_MAX)
        return fx_err_set(err, FX_ECONFIG, "'%.80s': a partition is a number from 0 on", text);
    if (!parse_range(parts[2], &fresh.first, &fresh.last))
        return fx_err_set(err, FX_ECONFIG, "'%.80s': offsets are 700-799 or 700, from 0 on", text);
    memcpy(fresh.topic, parts[0].bytes, parts[0].size);
    fresh.partition = (int32_t)partition;
    *offsets = fresh;
    return FX_OK;
}

enum fx_code decide_check_reason(const char *reason, struct fx_err *err)
{
    if (reason == NULL || reason[strspn(reason, " \t\r\n")] == '\0')
        return fx_err_set(err, FX_ECONFIG, "say why with --reason TEXT: it is recorded");
    if (strlen(reason) > REASON_MAX || !text_is_utf8(reason, strlen(reason)))
        return fx_err_set(err, FX_ECONFIG, "--reason is at most %d bytes of UTF-8", REASON_MAX);
    return FX_OK;
}
