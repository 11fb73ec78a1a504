/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_mend.h"

#include "../common/text.h"
#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT "fangxian" /* schema and prefix */
#define RANGE_SIZE 160

/* The table of schemas/README.md, "Rejected events", in a few words each. */
static const char *const cures[] = {
    [REASON_UNDECODABLE] = "find who writes to the topic without the wire format",
    [REASON_UNKNOWN_SCHEMA] = "run fx-setup with the new version, restart fx-rollup, then",
    [REASON_WRONG_KIND] = "correct the writer: another kind's event on this topic",
    [REASON_KEY_MISMATCH] = "correct the writer: the key must be the source",
    [REASON_INVALID_FIELD] = "correct the writer, or widen the bound and",
    [REASON_SUMS_MISMATCH] = "correct the writer: parts do not add up",
    [REASON_UNKNOWN_REGION] = "add the region, run fx-setup, then",
    [REASON_SIMULATED] = "stop the trial, or fx-setup --accept-simulated and",
    [REASON_MOVED_PARTITION] = "correct the writer: a run keeps its partition",
    [REASON_SEQ_JUMP] = "the writer's counter is broken: start a new run",
    [REASON_SOURCE_QUARANTINED] = "release the run, then",
    [REASON_ALREADY_REVERSED] = "an event is undone once: nothing is lost",
    [REASON_STORE_REFUSED] = "read PostgreSQL's log, mend it, then",
};
_Static_assert(sizeof cures / sizeof cures[0] == REASON_COUNT, "a cure each");

static void say(char *out, size_t size, const char *format, ...) FX_PRINTF(3, 4);
static void say(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, size, format, args);
    va_end(args);
}

#define ADVISE(...) say(mend->advice, sizeof mend->advice, __VA_ARGS__)
#define COMMAND(...) say(mend->command, sizeof mend->command, __VA_ARGS__)

static const char *cell(const struct audit_rows *rows, int row, const char *column)
{
    const char *text = row < rows->count ? audit_rows_cell(rows, row, column) : NULL;
    return text == NULL ? "" : text;
}

/* The device's program of a kind: its own where there is one. */
static const char *program_of(const char *kind, char *out, size_t size)
{
    static const char *const own[][2] = {{"checkpoint", "fx-checkpoint"},
                                         {"test_site", "fx-test-site"},
                                         {"quarantine", "fx-quarantine"}};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(own[i][0], kind) == 0)
            return own[i][1];
    snprintf(out, size, "fx-emit %s", kind);
    return out;
}

/* SOURCE:RUN:FIRST-LAST, the numbers of columns first and last. */
static void range_of(const struct audit_rows *rows, int row, const char *first, const char *last,
                     char out[RANGE_SIZE])
{
    snprintf(out, RANGE_SIZE, "%s:%s:%s-%s", cell(rows, row, "source"), cell(rows, row, "run"),
             cell(rows, row, first), cell(rows, row, last));
}

/* Where the program runs: one at a device knows nothing of schemas. */
enum reach { AT_DEVICE, AT_CITY };

/* " --schema-name X --topic-prefix P" where they are not the defaults and the program has them. */
static const char *where(const struct audit_report *report, enum reach reach)
{
    static char text[400];
    const char *schema = cell(&report->head, 0, "schema");
    const char *prefix = cell(&report->head, 0, "topic_prefix");
    bool has_schema = reach != AT_DEVICE && schema[0] != '\0' && strcmp(schema, DEFAULT) != 0;
    bool has_prefix = prefix[0] != '\0' && strcmp(prefix, DEFAULT) != 0;
    snprintf(text, sizeof text, "%s%s%s%s", has_schema ? " --schema-name " : "",
             has_schema ? schema : "", has_prefix ? " --topic-prefix " : "",
             has_prefix ? prefix : "");
    return text;
}

/* range: which numbers, as far as they are known. */
static void mend_reason(const struct audit_report *report, const char *reason, const char *range,
                        struct audit_mend *mend)
{
    for (int i = 0; i < REASON_COUNT; i++)
        if (strcmp(reason, reason_name((enum reason)i)) == 0)
            ADVISE("%s", cures[i]);
    if (strcmp(reason, reason_name(REASON_ALREADY_REVERSED)) == 0)
        COMMAND("fx-setup%s --write-off %s --reason TEXT", where(report, AT_CITY), range);
    else
        COMMAND("fx-rollup%s --redrive%s%s", where(report, AT_CITY), reason[0] == '\0' ? "" : " ",
                reason);
}

static void mend_range(const struct audit_report *report, int row, struct audit_mend *mend)
{
    char program[100];
    char range[RANGE_SIZE];
    const struct audit_rows *rows = &report->sections[AUDIT_MISSING];
    const char *cause = cell(rows, row, "cause");
    const char *reasons = cell(rows, row, "reasons");
    bool is_lost = strcmp(cause, "lost") == 0;
    range_of(rows, row, "first_seq", "last_seq", range);
    if (strcmp(cause, "rejected") == 0 && strchr(reasons, ' ') == NULL) {
        mend_reason(report, reasons, range, mend);
    } else if (strcmp(cause, "rejected") == 0) {
        ADVISE("mend the causes: %s", reasons);
        COMMAND("fx-rollup%s --redrive", where(report, AT_CITY));
    } else if (is_lost || audit_rows_is_true(rows, row, "is_gone")) {
        ADVISE("%s", is_lost ? "its device or outbox is gone or was replaced: find it, or"
                             : "the source does not hold them any more");
        COMMAND("fx-setup%s --write-off %s --reason TEXT", where(report, AT_CITY), range);
    } else {
        ADVISE("%s", audit_rows_is_true(rows, row, "is_quarantined")
                         ? "its run is in quarantine, release that first, then on the device"
                         : "the source is asked by itself; or on the device");
        COMMAND("%s%s --resend %s", program_of(cell(rows, row, "kind"), program, sizeof program),
                where(report, AT_DEVICE), range);
    }
}

static void mend_run(const struct audit_report *report, int row, struct audit_mend *mend)
{
    const struct audit_rows *rows = &report->sections[AUDIT_RUNS];
    if (audit_rows_is_true(rows, row, "is_quarantined")) {
        ADVISE("over 16384 gaps: look at the source, then");
        COMMAND("fx-setup%s --release %s:%s", where(report, AT_CITY), cell(rows, row, "source"),
                cell(rows, row, "run"));
    } else if (strcmp(cell(rows, row, "state"), "cloned") == 0) {
        ADVISE("two devices report as one source: stop one, give it a name and outbox of its own");
    } else if (audit_rows_cell(rows, row, "lost_first_seq") != NULL) {
        char range[RANGE_SIZE];
        range_of(rows, row, "lost_first_seq", "lost_last_seq", range);
        ADVISE("its outbox is gone: find it, or");
        COMMAND("fx-setup%s --write-off %s --reason TEXT", where(report, AT_CITY), range);
    } else {
        ADVISE("its outbox is gone: find out whether it held more");
    }
}

/* In place of "next": a second rebuild beside a schema that bears that name takes another. */
static const char *next_of(const struct audit_report *report)
{
    return strcmp(cell(&report->head, 0, "schema"), "next") == 0 ? "next2" : "next";
}

static void mend_breach(const struct audit_report *report, int row, struct audit_mend *mend)
{
    const char *next = next_of(report);
    if (cell(&report->sections[AUDIT_BREACHES], row, "explanation")[0] != '\0') {
        ADVISE("mends itself when the original counts:");
        COMMAND("fx-rollup%s --redrive", where(report, AT_CITY));
        return;
    }
    char topics[300]; /* the schema is the next one's */
    text_copy(topics, sizeof topics, where(report, AT_DEVICE));
    ADVISE("a row was changed by hand, or a fault of ours: count anew beside it (then "
           "fx-rollup --schema-name %s%s --until-end, then fx-setup%s --swap %s)",
           next, topics, where(report, AT_CITY), next);
    COMMAND("fx-setup --schema-name %s%s --record-schema %s", next, topics,
            cell(&report->head, 0, "record_schema"));
}

static void mend_source(const struct audit_report *report, enum audit_section section, int row,
                        struct audit_mend *mend)
{
    char program[100];
    const char *kind = cell(&report->sections[section], row, "kind");
    const char *name = program_of(kind, program, sizeof program);
    if (section == AUDIT_SILENT)
        ADVISE("call the post; on the device");
    else if (section == AUDIT_STALE || section == AUDIT_CLOSED)
        ADVISE("see to what feeds the program; on the device");
    else if (section == AUDIT_REFUSED)
        ADVISE("correct the lines in its --rejects file; on the device");
    else if (section == AUDIT_PENDING)
        ADVISE("they come by themselves when the post has a network; on the device");
    else
        ADVISE("set the clock of the device (NTP)");
    if (section != AUDIT_CLOCKS)
        COMMAND("%s%s --status", name, where(report, AT_DEVICE));
}

void audit_mend(const struct audit_report *report, enum audit_section section, int row,
                struct audit_mend *mend)
{
    const struct audit_rows *rows = &report->sections[section];
    memset(mend, 0, sizeof *mend);
    switch (section) {
    case AUDIT_MISSING:
        mend_range(report, row, mend);
        break;
    case AUDIT_REJECTED:
        mend_reason(report, cell(rows, row, "reason"), "SOURCE:RUN:FIRST-LAST", mend);
        break;
    case AUDIT_RUNS:
        mend_run(report, row, mend);
        break;
    case AUDIT_BREACHES:
        mend_breach(report, row, mend);
        break;
    case AUDIT_HOLES:
        ADVISE("find out why they are not there, or cannot be unpacked, then");
        COMMAND("fx-setup%s --accept-loss %s:%s:%s-%s --reason TEXT", where(report, AT_CITY),
                cell(rows, row, "topic"), cell(rows, row, "partition"),
                cell(rows, row, "first_offset"), cell(rows, row, "last_offset"));
        break;
    case AUDIT_UNREGISTERED:
        ADVISE("add it to the list of sources");
        COMMAND("fx-setup%s --sources FILE", where(report, AT_CITY));
        break;
    case AUDIT_BEHIND:
        ADVISE("start it, or see its log");
        COMMAND("fx-rollup%s", where(report, AT_CITY));
        break;
    case AUDIT_SILENT:
    case AUDIT_STALE:
    case AUDIT_CLOSED:
    case AUDIT_REFUSED:
    case AUDIT_PENDING:
    case AUDIT_CLOCKS:
        mend_source(report, section, row, mend);
        break;
    case AUDIT_SECTION_COUNT:
        break;
    }
}
