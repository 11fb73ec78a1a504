/* SPDX-License-Identifier: Apache-2.0 */
#include "../../consumers/audit_mend.h"

#include "fake_audit.h"

static struct audit_report mended;

/* One row of a section, of which audit_mend is to say what to do; the rows are mended's. */
static struct audit_rows *mended_rows(enum audit_section section, const char *names)
{
    audit_report_release(&mended);
    mended = (struct audit_report){0};
    columns(&mended.sections[section], names);
    return &mended.sections[section];
}

/* Without a head: everything has its default. */
static void head(const char *schema, const char *prefix)
{
    columns(&mended.head, "schema topic_prefix record_schema");
    ADD(&mended.head, schema, prefix, "the_record");
}

struct mend_case {
    const char *kind;
    const char *cause;
    const char *is_gone;
    const char *reasons;
    const char *command;
};

static void a_range_has_the_command_that_mends_it(void **state)
{
    (void)state;
    static const struct mend_case cases[] = {
        {"checkpoint", "missing", "f", NULL, "fx-checkpoint --resend S:00000000000a:4-6"},
        {"test_site", "missing", NULL, NULL, "fx-test-site --resend S:00000000000a:4-6"},
        {"quarantine", "missing", "f", NULL, "fx-quarantine --resend S:00000000000a:4-6"},
        {"cadre", "missing", "f", NULL, "fx-emit cadre --resend S:00000000000a:4-6"},
        {"cadre", "missing", "t", NULL, "fx-setup --write-off S:00000000000a:4-6 --reason TEXT"},
        {"cadre", "lost", "f", NULL, "fx-setup --write-off S:00000000000a:4-6 --reason TEXT"},
        {"cadre", "rejected", "t", "unknown_region", "fx-rollup --redrive unknown_region"},
        {"cadre", "rejected", "f", "invalid_field unknown_region", "fx-rollup --redrive"},
        {"cadre", "rejected", "f", NULL, "fx-rollup --redrive"},
        {"cadre", "rejected", "f", "already_reversed",
         "fx-setup --write-off S:00000000000a:4-6 --reason TEXT"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct audit_mend mend;
        struct audit_rows *rows = mended_rows(
            AUDIT_MISSING, "kind source run first_seq+ last_seq+ cause is_gone? reasons");
        ADD(rows, cases[i].kind, "S", "00000000000a", "4", "6", cases[i].cause, cases[i].is_gone,
            cases[i].reasons);
        audit_mend(&mended, AUDIT_MISSING, 0, &mend);
        assert_string_equal(mend.command, cases[i].command);
        assert_true(mend.advice[0] != '\0' || cases[i].reasons == NULL);
    }
}

static void assert_advice(const char *cause, const char *is_gone, const char *is_quarantined,
                          const char *advice)
{
    struct audit_mend mend;
    struct audit_rows *rows = mended_rows(
        AUDIT_MISSING, "kind source run first_seq+ last_seq+ cause is_gone? is_quarantined?");
    ADD(rows, "cadre", "S", "00000000000a", "4", "6", cause, is_gone, is_quarantined);
    audit_mend(&mended, AUDIT_MISSING, 0, &mend);
    assert_string_equal(mend.advice, advice);
}

static void advice_is_true(void **state)
{
    (void)state;
    assert_advice("missing", "f", "f", "the source is asked by itself; or on the device");
    assert_advice("missing", "f", "t",
                  "its run is in quarantine, release that first, then on the device");
    assert_advice("missing", "t", "f", "the source does not hold them any more");
    assert_advice("lost", "t", "f", "its device or outbox is gone or was replaced: find it, or");
}

/* A command is for the schema and the topics that were looked at. */
static void commands_say_where(void **state)
{
    (void)state;
    static const char *const names = "kind source run first_seq+ last_seq+ cause is_gone? reasons";
    static const char *const cases[][5] = {
        {"fangxian", "fangxian", "missing", "f", "fx-emit cadre --resend S:0a:4-6"},
        {"x", "fangxian", "missing", "f", "fx-emit cadre --resend S:0a:4-6"},
        {"x", "p", "missing", "f", "fx-emit cadre --topic-prefix p --resend S:0a:4-6"},
        {"x", "fangxian", "lost", "f",
         "fx-setup --schema-name x --write-off S:0a:4-6 --reason TEXT"},
        {"x", "p", "rejected", "f", "fx-rollup --schema-name x --topic-prefix p --redrive"},
    };
    struct audit_mend mend;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct audit_rows *rows = mended_rows(AUDIT_MISSING, names);
        ADD(rows, "cadre", "S", "0a", "4", "6", cases[i][2], cases[i][3], NULL);
        head(cases[i][0], cases[i][1]);
        audit_mend(&mended, AUDIT_MISSING, 0, &mend);
        assert_string_equal(mend.command, cases[i][4]);
    }
}

static void a_breach_is_mended_in_three_steps(void **state)
{
    (void)state;
    struct audit_mend mend;
    struct audit_rows *rows = mended_rows(AUDIT_BREACHES, "explanation");
    ADD(rows, NULL);
    head("fangxian", "fangxian");
    audit_mend(&mended, AUDIT_BREACHES, 0, &mend);
    assert_string_equal(mend.command, "fx-setup --schema-name next --record-schema the_record");
    assert_holds(mend.advice, "then fx-rollup --schema-name next --until-end, "
                              "then fx-setup --swap next");
}

static void assert_run(const char *state_name, const char *is_quarantined, const char *lost,
                       const char *command)
{
    struct audit_mend mend;
    struct audit_rows *rows = mended_rows(
        AUDIT_RUNS, "kind source run state is_quarantined? lost_first_seq+ lost_last_seq+");
    ADD(rows, "checkpoint", "S", "00000000000a", state_name, is_quarantined, lost, lost);
    audit_mend(&mended, AUDIT_RUNS, 0, &mend);
    assert_string_equal(mend.command, command);
    assert_true(mend.advice[0] != '\0');
}

static void a_run_has_the_command_that_mends_it(void **state)
{
    (void)state;
    assert_run("current", "t", NULL, "fx-setup --release S:00000000000a");
    assert_run("lost", "f", "21", "fx-setup --write-off S:00000000000a:21-21 --reason TEXT");
    assert_run("lost", "f", NULL, "");
    assert_run("cloned", "f", NULL, "");
}

static void every_section_and_reason_has_advice(void **state)
{
    (void)state;
    static const char *const names =
        "kind topic partition+ first_offset+ last_offset+ reason state cause";
    struct audit_mend mend;
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++) {
        enum audit_section section = (enum audit_section)i;
        struct audit_rows *rows = mended_rows(section, names);
        ADD(rows, "checkpoint", "t.checkpoint", "3", "7", "9", "wrong_kind", "lost", "missing");
        audit_mend(&mended, section, 0, &mend);
        assert_true(mend.advice[0] != '\0');
        if (section == AUDIT_HOLES)
            assert_string_equal(mend.command,
                                "fx-setup --accept-loss t.checkpoint:3:7-9 --reason TEXT");
        if (section == AUDIT_REJECTED)
            assert_string_equal(mend.command, "fx-rollup --redrive wrong_kind");
    }
    audit_report_release(&mended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_has_the_command_that_mends_it),
        cmocka_unit_test(advice_is_true),
        cmocka_unit_test(commands_say_where),
        cmocka_unit_test(a_breach_is_mended_in_three_steps),
        cmocka_unit_test(a_run_has_the_command_that_mends_it),
        cmocka_unit_test(every_section_and_reason_has_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
