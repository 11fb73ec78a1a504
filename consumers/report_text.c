/* SPDX-License-Identifier: Apache-2.0 */
#include "report_text.h"

#include "../common/day.h"
#include "report_measures.h"

#include <stdio.h>
#include <string.h>

enum fx_code report_lang_parse(const char *text, enum report_lang *lang, struct fx_err *err)
{
    static const char *const names[] = {"zh", "en", "both"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *lang = (enum report_lang)i;
            return FX_OK;
        }
    return fx_err_set(err, FX_ECONFIG, "--lang '%.20s' is none of zh, en, both", text);
}

void report_say(struct buf *out, enum report_lang lang, const char *zh, const char *en)
{
    if (lang != REPORT_EN)
        buf_append_text(out, zh);
    if (lang == REPORT_EN || (lang == REPORT_BOTH && strcmp(zh, en) != 0)) {
        if (lang == REPORT_BOTH)
            buf_append_byte(out, REPORT_SPLIT);
        buf_append_text(out, en);
    }
}

void report_say_word(struct buf *out, enum report_lang lang, const char *group, const char *name)
{
    const struct report_word *word = report_word_named(group, name);
    if (word == NULL)
        buf_append_text(out, name);
    else
        report_say(out, lang, word->zh, word->en);
}

void report_say_number(struct buf *out, const char *number)
{
    if (number == NULL) {
        buf_append_text(out, "–");
        return;
    }
    if (*number == '-')
        buf_append_byte(out, (uint8_t)*number++);
    size_t whole = strspn(number, "0123456789");
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0)
            buf_append_byte(out, ',');
        buf_append_byte(out, (uint8_t)number[i]);
    }
    buf_append_text(out, number + whole);
}

void report_say_instant(struct buf *out, enum report_lang lang, const char *instant, bool is_end)
{
    struct fx_err err = FX_ERR_INIT;
    int64_t at_ms = 0;
    char text[DAY_TEXT_SIZE];
    char zh[64];
    char en[64];
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    if (day_parse(instant, &at_ms, &err) != FX_OK) {
        buf_append_text(out, instant);
        return;
    }
    bool is_midnight = is_end && day_local_start_ms(at_ms) == at_ms;
    day_format(is_midnight ? at_ms - DAY_MS : at_ms, text);
    if (sscanf(text, "%d-%d-%dT%d:%d", &year, &month, &day, &hour, &minute) != 5)
        hour = minute = 0;
    if (is_midnight)
        hour = 24;
    if (is_end && minute == 0)
        snprintf(zh, sizeof zh, "%d年%d月%d日%d时", year, month, day, hour);
    else
        snprintf(zh, sizeof zh, "%d年%d月%d日%d时%02d分", year, month, day, hour, minute);
    snprintf(en, sizeof en, "%04d-%02d-%02d %02d:%02d", year, month, day, hour, minute);
    report_say(out, lang, zh, en);
}
