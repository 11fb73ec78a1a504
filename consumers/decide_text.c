/* SPDX-License-Identifier: Apache-2.0 */
#include "decide_text.h"

#include "../common/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 3
#define SOURCE_MAX 64
#define RUN_DIGITS 12
#define DIGITS_MAX 18 /* of a decimal number: fits int64_t */
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

/* All of part is a decimal number without sign. */
static bool parse_number(struct part part, int64_t *number)
{
    if (part.size < 1 || part.size > DIGITS_MAX)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < part.size; i++) {
        if (part.bytes[i] < '0' || part.bytes[i] > '9')
            return false;
        value = value * 10 + (part.bytes[i] - '0');
    }
    *number = value;
    return true;
}

/* "7-12", or "7" for 7-7. */
static bool parse_range(struct part part, int64_t *first, int64_t *last)
{
    const char *dash = memchr(part.bytes, '-', part.size);
    size_t size = dash == NULL ? part.size : (size_t)(dash - part.bytes);
    struct part high = part;
    if (dash != NULL)
        high = (struct part){dash + 1, part.size - size - 1};
    return parse_number((struct part){part.bytes, size}, first) && parse_number(high, last) &&
           *first <= *last;
}

static bool parse_hex(struct part part, int64_t *run)
{
    int64_t value = 0;
    if (part.size != RUN_DIGITS)
        return false;
    for (size_t i = 0; i < part.size; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, part.bytes[i], sizeof digits - 1);
        if (digit == NULL)
            return false;
        int64_t at = digit - digits;
        value = value * 16 + (at < 16 ? at : at - 6);
    }
    *run = value;
    return true;
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
    if (!parse_hex(parts[1], &fresh.run))
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
    if (!parse_number(parts[1], &partition) || partition > INT32_MAX)
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
