/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - a device's line of JSON, checked against the kind's current schema.
 *
 * {"direction":"IN","vehicle":"CAR","persons":3,"passed":3,"at":"2022-02-10T08:30:00+08:00"}
 *
 * The keys of a line are the kind's own fields and four of the line itself: "source" and "region"
 * (a gateway of many devices; else the program's --source and --region), "at" or "occurred_at"
 * (else now), and "id", unique per source, for callers that may have to repeat themselves. What
 * the producer gives (run, seq, sign, reverses_run, reverses_seq, counted_at) no line may give.
 *
 * What a line leaves unsaid is, in this order: the post's constant (--set), the rest of a sum,
 * the schema's default, null, 0 for a number. Enums, texts and booleans without any are missing.
 * Times are day_parse's forms or integer milliseconds.
 *
 * Every refusal names field and reason; only what stands between single quotes in a reason came
 * from the line, see suggest_mask.
 */
#ifndef FX_RECORD_H
#define FX_RECORD_H

#include "../common/args.h"
#include "event.h"

#include <jansson.h>

#define RECORD_LINE_MAX 65536 /* bytes of a line */
#define RECORD_ID_MAX 128     /* bytes of a line's id */

struct record;
struct record_line;

/*
 * May add, change and remove keys of json before they are checked; line's occurred_at is known
 * already. Refuses with record_refuse.
 */
typedef enum fx_code (*record_complete)(json_t *json, struct record_line *line, struct fx_err *err);

struct record_options {
    const struct kind *kind;   /* borrowed while the record is open */
    const char *source;        /* NULL: every line names its own */
    const char *region;        /* NULL: every line names its own */
    const struct fx_list *set; /* field=value */
    record_complete complete;  /* the dialect's, NULL: none */
};

struct record_line {
    int64_t now_ms;              /* in: the time of a line that gives none */
    struct event event;          /* run and seq are 0 */
    const char *id;              /* NULL: none */
    bool is_clock;               /* the line gave no time: occurred_at is the machine's clock */
    bool is_field_known;         /* field is one of ours, fit for a log */
    char field[SCHEMA_NAME_MAX]; /* refused: the field at fault, "" for the line as a whole */
};

/* Leads jansson's allocations of the whole program.
 * FX_ECONFIG  source, region or set is wrong; err says how. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code record_open(const struct record_options *options, struct record **record,
                                       struct fx_err *err);

/*
 * The texts of line->event live until the next record_read, and no longer than text.
 *
 * FX_EINPUT   refused, see line->field.
 * FX_EMEMORY  not looked at.
 */
FX_MUST_CHECK enum fx_code record_read(struct record *record, const char *text, size_t size,
                                       struct record_line *line, struct fx_err *err);

void record_close(struct record *record);

/* Refuses line because of field, "" for the whole of it: sets err to "field: reason". */
enum fx_code record_refuse(struct record_line *line, const char *field, struct fx_err *err,
                           const char *format, ...) FX_PRINTF(4, 5);

/* The reason in err without the field in front. */
const char *record_reason(const struct record_line *line, const struct fx_err *err);

#endif
