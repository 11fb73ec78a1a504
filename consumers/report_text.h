/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_text - how words, numbers and times are said, in Chinese, English or both.
 *
 * Pure. In both languages a text is Chinese, REPORT_SPLIT, English: whoever prints it puts a space
 * there, or marks the English part as such.
 */
#ifndef FX_REPORT_TEXT_H
#define FX_REPORT_TEXT_H

#include "../common/buf.h"

#define REPORT_SPLIT '\x1f'

enum report_lang { REPORT_ZH, REPORT_EN, REPORT_BOTH };

/* "zh", "en" or "both". FX_ECONFIG: none of these. */
FX_MUST_CHECK enum fx_code report_lang_parse(const char *text, enum report_lang *lang,
                                             struct fx_err *err);

/* Appends the one, the other, or both; once, if they are the same. */
void report_say(struct buf *out, enum report_lang lang, const char *zh, const char *en);

/* The word of a group (report_measures.h), or name itself if it is not known. */
void report_say_word(struct buf *out, enum report_lang lang, const char *group, const char *name);

/* "-1234567.5" -> "-1,234,567.5"; NULL -> "–". */
void report_say_number(struct buf *out, const char *number);

/* "2022-02-11T00:00:00+08:00" -> "2022年2月11日0时0分", "2022-02-11 00:00". is_end: the end of a
 * time, midnight is 24:00 of the day before. */
void report_say_instant(struct buf *out, enum report_lang lang, const char *instant, bool is_end);

#endif
