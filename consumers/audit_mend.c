/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_mend.h"

#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
    const char *text = audit_rows_cell(rows, row, column);
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

/* SOURCE:RUN:FIRST-LAST */
static const char *range_of(const struct audit_rows *rows, int row, char *out, size_t size)
{
    snprintf(out, size, "%s:%s:%s-%s", cell(rows, row, "source"), cell(rows, row, "run"),
             cell(rows, row, "first_seq"), cell(rows, row, "last_seq"));
    return out;
}

/* range: which numbers, as far as they are known. */
static void mend_reason(const char *reason, const char *range, struct audit_mend *mend)
{
    for (int i = 0; i < REASON_COUNT; i++)
        if (strcmp(reason, reason_name((enum reason)i)) == 0)
            ADVISE("%s", cures[i]);
    if (strcmp(reason, reason_name(REASON_ALREADY_REVERSED)) == 0)
        COMMAND("fx-setup --write-off %s --reason TEXT", range);
    else
        COMMAND("fx-rollup --redrive%s%s", reason[0] == '\0' ? "" : " ", reason);
}

static void mend_range(const struct audit_rows *rows, int row, struct audit_mend *mend)
{
    char program[100];
    char range[160];
    const char *cause = cell(rows, row, "cause");
    const char *reasons = cell(rows, row, "reasons");
    range_of(rows, row, range, sizeof range);
    if (strcmp(cause, "rejected") == 0 && strchr(reasons, ' ') == NULL) {
        mend_reason(reasons, range, mend);
    } else if (strcmp(cause, "rejected") == 0) {
        ADVISE("mend the causes: %s", reasons);
        COMMAND("fx-rollup --redrive");
    } else if (strcmp(cause, "lost") == 0 || audit_rows_is_true(rows, row, "is_gone")) {
        ADVISE("the source does not hold them any more");
        COMMAND("fx-setup --write-off %s --reason TEXT", range);
    } else {
        ADVISE("the source is asked by itself; or on the device");
        COMMAND("%s --resend %s", program_of(cell(rows, row, "kind"), program, sizeof program),
                range);
    }
}

static void mend_run(const struct audit_rows *rows, int row, struct audit_mend *mend)
{
    const char *state = cell(rows, row, "state");
    if (audit_rows_is_true(rows, row, "is_quarantined")) {
        ADVISE("over 16384 gaps: look at the source, then");
        COMMAND("fx-setup --release %s:%s", cell(rows, row, "source"), cell(rows, row, "run"));
    } else if (strcmp(state, "cloned") == 0) {
        ADVISE("two devices report as one source: stop one, give it a name and outbox of its own");
    } else if (audit_rows_cell(rows, row, "lost_first_seq") != NULL) {
        char range[160];
        snprintf(range, sizeof range, "%s:%s:%s-%s", cell(rows, row, "source"),
                 cell(rows, row, "run"), cell(rows, row, "lost_first_seq"),
                 cell(rows, row, "lost_last_seq"));
        ADVISE("its outbox is gone: find it, or");
        COMMAND("fx-setup --write-off %s --reason TEXT", range);
    } else {
        ADVISE("its outbox is gone: find out whether it held more");
    }
}

static void mend_breach(const struct audit_rows *rows, int row, struct audit_mend *mend)
{
    if (cell(rows, row, "explanation")[0] != '\0') {
        ADVISE("mends itself when the original counts:");
        COMMAND("fx-rollup --redrive");
    } else {
        ADVISE("a row was changed by hand, or a fault of ours: count anew beside it");
        COMMAND("fx-setup --schema-name NEXT");
    }
}

static void mend_source(enum audit_section section, const struct audit_rows *rows, int row,
                        struct audit_mend *mend)
{
    char program[100];
    const char *kind = cell(rows, row, "kind");
    program_of(kind, program, sizeof program);
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
        COMMAND("%s --status", name);
}

void audit_mend(enum audit_section section, const struct audit_rows *rows, int row,
                struct audit_mend *mend)
{
    memset(mend, 0, sizeof *mend);
    switch (section) {
    case AUDIT_MISSING:
        mend_range(rows, row, mend);
        break;
    case AUDIT_REJECTED:
        mend_reason(cell(rows, row, "reason"), "SOURCE:RUN:FIRST-LAST", mend);
        break;
    case AUDIT_RUNS:
        mend_run(rows, row, mend);
        break;
    case AUDIT_BREACHES:
        mend_breach(rows, row, mend);
        break;
    case AUDIT_HOLES:
        ADVISE("find out why the broker lost them, then");
        COMMAND("fx-setup --accept-loss %s:%s:%s-%s --reason TEXT", cell(rows, row, "topic"),
                cell(rows, row, "partition"), cell(rows, row, "first_offset"),
                cell(rows, row, "last_offset"));
        break;
    case AUDIT_UNREGISTERED:
        ADVISE("add it to the list of sources");
        COMMAND("fx-setup --sources FILE");
        break;
    case AUDIT_BEHIND:
        ADVISE("start it, or see its log");
        COMMAND("fx-rollup");
        break;
    case AUDIT_SILENT:
    case AUDIT_STALE:
    case AUDIT_CLOSED:
    case AUDIT_REFUSED:
    case AUDIT_PENDING:
    case AUDIT_CLOCKS:
        mend_source(section, rows, row, mend);
        break;
    case AUDIT_SECTION_COUNT:
        break;
    }
}
