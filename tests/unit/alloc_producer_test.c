/* SPDX-License-Identifier: Apache-2.0 */
/* The producers' memory fails, at every place, jansson's and SQLite's too: see fake_shortage.h. */
#include "fake_shortage.h"

#include "../../common/args.h"
#include "../../common/log.h"
#include "../../producers/asked.h"
#include "../../producers/asked_message.h"
#include "../../producers/follow.h"
#include "../../producers/outbox_send.h"
#include "../../producers/record.h"
#include "../../producers/rejects.h"
#include "../../producers/simulate.h"
#include "../../producers/station_core.h"

#include <sqlite3.h>

#define NOW_MS INT64_C(1644453000000)
#define BATCH 10
#define SQLITE_STEP 17

static sqlite3_mem_methods sqlite_memory;
static bool does_sqlite_fail;

static void *sqlite_malloc(int size)
{
    return does_sqlite_fail && fails() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return does_sqlite_fail && fails() ? NULL : sqlite_memory.xRealloc(old, size);
}

static int lead_sqlite(void **state)
{
    (void)state;
    sqlite3_mem_methods methods;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &methods) != SQLITE_OK)
        return -1;
    sqlite_memory = methods;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? 0 : -1;
}

static void say_values(const struct record_line *line)
{
    for (int i = 0; i < line->event.schema->field_count; i++) {
        const struct event_value *value = &line->event.values[i];
        say(" %d:%" PRId64 ":%.*s", value->is_null, value->number, value->size, value->text);
    }
    say(" id %s\n", line->id == NULL ? "-" : line->id);
}

/* Texts whose closing quote is the first byte behind what jansson has room for, and others. */
static enum fx_code read_lines(struct fx_err *err)
{
    static const char *const good[] = {
        "{\"rings\":1}",
        " {\"rings\" : 2, \"id\":\"a\\u00e9b\", \"at\":\"2022-02-10T08:30:00+08:00\"}",
        "{\"rings\":3,\"source\":\"B-2\",\"region\":\"C1\"}",
        "{\"rings\":4,\"id\":\"\\u0061bcdefgh\"}",
        "{\"rings\":4,\"id\":\"\\u0061 text of thirty bytes it is\"}",
        ("{\"rings\":4,\"id\":\"\\u0061 text of sixty-two bytes, which is that many more than it "
         "needs\"}"),
    };
    const struct fx_list set = {.items = {"rings=7"}, .count = 1};
    const struct record_options options = {&catalog.kinds[TOPIC_BELL].kind, "B-1", "C1", &set,
                                           NULL};
    struct record *record = NULL;
    if (record_open(&options, &record, err) != FX_OK)
        return err->code;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct record_line line = {.now_ms = NOW_MS};
        while (record_read(record, good[i], strlen(good[i]), &line, err) != FX_OK)
            assert_true(is_short(err));
        say_values(&line);
    }
    record_close(record);
    return err->code;
}

/* A good line is not refused as a wrong one because there was no memory to look at it. */
static void lines_of_a_device(void **state)
{
    (void)state;
    assert_true(fail_each(read_lines, 1, REPORTED).count >= 3);
}

static struct region_tree places;

static enum fx_code play(struct fx_err *err)
{
    const struct simulation_options options = {.kind = "checkpoint",
                                               .events = 50,
                                               .sources = 5,
                                               .from_ms = NOW_MS,
                                               .to_ms = NOW_MS + 3600000,
                                               .seed = 1,
                                               .regions = &places};
    struct simulation *simulation = NULL;
    struct buf line = BUF_INIT;
    bool is_done = false;
    if (simulation_open(&options, &simulation, err) != FX_OK)
        return err->code;
    while (!is_done) {
        while (simulation_next(simulation, &line, &is_done, err) != FX_OK)
            assert_true(is_short(err));
        if (!is_done)
            say("%.*s\n", (int)line.size, (const char *)line.data);
    }
    simulation_close(simulation);
    buf_release(&line);
    return err->code;
}

static void a_simulation(void **state)
{
    (void)state;
    assert_ok(region_tree_init(&places, &err));
    assert_ok(region_tree_load(&places, FX_SCHEMAS_DIR "/regions.csv", &err));
    assert_true(fail_each(play, 1, REPORTED).count >= 3);
    region_tree_release(&places);
}

static char outbox_path[512];

static enum fx_code open_outbox(struct outbox **outbox, struct fx_err *err)
{
    const struct outbox_options options = {
        .path = outbox_path, .kind = "checkpoint", .keep_ms = 86400000};
    return outbox_open(&options, outbox, err);
}

/* Stores a few events of some sources; *committed: how many outbox_commit said are on disk. */
static enum fx_code store_batch(struct outbox *outbox, int64_t *committed, struct fx_err *err)
{
    static const uint8_t bytes[100];
    const struct outbox_event event = {bytes, sizeof bytes, NOW_MS, NOW_MS, NULL};
    char source[16];
    struct outbox_run *run;
    if (outbox_begin(outbox, err) != FX_OK)
        return err->code;
    for (int i = 0; i < BATCH; i++) {
        snprintf(source, sizeof source, "CP-%d", i);
        if (outbox_take_run(outbox, source, "441521115", &run, err) != FX_OK ||
            outbox_append(outbox, run, &event, err) != FX_OK)
            break;
    }
    if (err->code == FX_OK && outbox_commit(outbox, err) == FX_OK)
        *committed += BATCH;
    else
        outbox_rollback(outbox);
    return err->code;
}

/* What it said was stored is there when it is opened again, and nothing else. */
static void check_outbox(int64_t committed)
{
    struct outbox *outbox = NULL;
    long left = until_failure;
    until_failure = -1;
    assert_ok(open_outbox(&outbox, &err));
    assert_int_equal(outbox_last_id(outbox), committed);
    outbox_close(outbox);
    until_failure = left;
}

/* A file of its own each time: an outbox that is opened again has more to load each time. */
static enum fx_code store_events(struct fx_err *err)
{
    static int number;
    struct outbox *outbox = NULL;
    int64_t committed = 0;
    snprintf(outbox_path, sizeof outbox_path, "%s/%d.db", scratch.root, ++number);
    if (open_outbox(&outbox, err) == FX_OK) {
        for (int i = 0; i < 2 && err->code == FX_OK; i++)
            (void)(store_batch(outbox, &committed, err) == FX_OK);
        outbox_close(outbox);
    }
    check_outbox(committed);
    say("%" PRId64, committed);
    return err->code;
}

static void an_outbox(void **state)
{
    (void)state;
    does_sqlite_fail = false;
    assert_true(fail_each(store_events, 1, REPORTED).count >= 10);
}

/* SQLite's allocations are thousands: some of them, from the first to the last. It goes on without
 * its caches, but not without a page of the file. */
static void an_outbox_whose_sqlite_has_no_memory(void **state)
{
    (void)state;
    does_sqlite_fail = true;
    struct tries tries = fail_each(store_events, SQLITE_STEP, TOLERATED);
    assert_true(tries.count >= 100);
    assert_true(tries.reported > tries.tolerated);
}

/* ---- what comes in ---- */

/* Follows a file that is rotated, closed and looked for again under its new name. */
static enum fx_code follow_lines(struct fx_err *err)
{
    const struct outbox_position begin = {0};
    struct follow follow;
    char path[128];
    char rotated[136];
    snprintf(path, sizeof path, "%s/log", scratch.root);
    snprintf(rotated, sizeof rotated, "%s.1", path);
    long left = until_failure;
    until_failure = -1;
    scratch_write(&scratch, "log", "one\ntwo\nthree\n");
    until_failure = left;
    while (follow_open(&follow, path, &begin, err) != FX_OK)
        assert_true(is_short(err));
    for (int line = 0; line < 5; line++) {
        enum lines_found found;
        const char *text;
        size_t size;
        while (follow_next(&follow, &found, &text, &size, err) != FX_OK)
            assert_true(is_short(err));
        say("%.*s at %" PRId64 "\n", found == LINES_LINE ? (int)size : 0, text, follow.at.offset);
        if (line != 1)
            continue;
        const struct outbox_position at = follow.at;
        follow_close(&follow);
        assert_int_equal(rename(path, rotated), 0);
        while (follow_open(&follow, path, &at, err) != FX_OK)
            assert_true(is_short(err));
    }
    follow_close(&follow);
    unlink(rotated);
    return err->code;
}

/* No line is taken twice because there was no memory to look for the file it is in. */
static void a_file_that_is_followed(void **state)
{
    (void)state;
    fx_log_open("alloc_producer_test", FX_LOG_ERROR);
    assert_true(fail_each(follow_lines, 1, REPORTED).count >= 3);
}

static enum fx_code keep_rejects(struct fx_err *err)
{
    struct rejects rejects;
    char kept[256] = "";
    char path[128];
    snprintf(path, sizeof path, "%s/rejects", scratch.root);
    unlink(path);
    if (rejects_open(&rejects, path, err) != FX_OK)
        return err->code;
    const struct reject reject = {12, "vehicle", "is \xff no vehicle", "{\"vehicle\":\"SHIP\"}",
                                  18};
    do {
        rejects_drop(&rejects); /* as a batch that is given up */
        rejects_add(&rejects, &reject);
    } while (rejects_sync(&rejects, err) != FX_OK && is_short(err));
    int file = open(path, O_RDONLY);
    assert_true(file >= 0 && read(file, kept, sizeof kept - 1) > 0);
    close(file);
    say("%s", kept);
    rejects_close(&rejects);
    return err->code;
}

static void lines_that_are_refused(void **state)
{
    (void)state;
    assert_true(fail_each(keep_rejects, 1, REPORTED).count >= 2);
}

static enum fx_code answer_lines(struct fx_err *err)
{
    struct answers answers = {.out = BUF_INIT};
    for (int i = 0; i < 5; i++) {
        answer_number(&answers, 77, i + 1);
        answer_refusal(&answers, "vehicle", "is no vehicle that would be known here");
        answer_settle(&answers);
        assert_true(answers.settled == 0 || answers.out.data[answers.settled - 1] == '\n');
    }
    if (buf_check(&answers.out, err) == FX_OK)
        say("%.*s", (int)answers.settled, (const char *)answers.out.data);
    buf_release(&answers.out);
    return err->code;
}

/* No half of an answer is ever settled. */
static void answers_to_lines(void **state)
{
    (void)state;
    assert_true(fail_each(answer_lines, 1, REPORTED).count >= 3);
}

static enum fx_code read_request(struct fx_err *err)
{
    static const char text[] =
        "{\"attempt\":123456,\"runs\":[{\"run\":\"0123456789ab\",\"topic\":\"t.checkpoint\","
        "\"ranges\":[[1,2],[4811,9223372036854775807]],\"later\":\"fourteen bytes\"}],"
        "\"asked_at\":\"2022-02-10T08:30:00.000+08:00\"}";
    const struct asked_bytes came = {text, sizeof text - 1, NOW_MS};
    struct asked_message message;
    if (asked_parse(&came, "t.checkpoint", &message, err) == FX_OK)
        for (int i = 0; i < message.count; i++)
            say("%" PRIx64 ":%" PRId64 "-%" PRId64 " ", message.spans[i].run,
                message.spans[i].first, message.spans[i].last);
    return err->code;
}

/* A request is not passed over as a wrong one because there was no memory to look at it. */
static void a_request_of_the_city(void **state)
{
    (void)state;
    assert_true(fail_each(read_request, 1, REPORTED).count >= 20);
}

static enum fx_code open_hearing(struct fx_err *err)
{
    const struct asked_options options = {
        .kafka = {.brokers = "127.0.0.1:1"}, .topic = "t.resend", .own_topic = "t.checkpoint"};
    struct asked *asked = NULL;
    if (asked_open(&options, &asked, err) == FX_OK)
        asked_close(asked);
    return err->code;
}

static void a_hearing_of_the_city(void **state)
{
    (void)state;
    assert_true(fail_each(open_hearing, 1, REPORTED).count >= 1);
}

static enum fx_code parse_options(struct fx_err *err)
{
    static const struct fx_opt opts[] = {
        {"set", 's', FX_OPT_LIST, 0, "FIELD=VALUE", NULL, 0, 0, "a constant"}, {.name = NULL}};
    static const struct fx_program program = {"fx-test", "[options]", "a test", opts, NULL};
    char *words[] = {(char[]){"fx-test"}, (char[]){"--set=a=1"}, (char[]){"-s"}, (char[]){"b=2"},
                     NULL};
    struct fx_argv argv = {4, words, 0, false};
    struct fx_list list = {.count = 0};
    if (args_parse(&program, &argv, &list, err) == FX_OK)
        for (int i = 0; i < list.count; i++)
            say("%s ", list.items[i]);
    return err->code;
}

/* They point into argv and the environment: there is nothing that could fail. */
static void options_need_no_memory(void **state)
{
    (void)state;
    assert_int_equal(fail_each(parse_options, 1, REPORTED).count, 0);
    assert_string_equal(said, "a=1 b=2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_of_a_device, open_kinds, close_kinds),
        cmocka_unit_test(a_simulation),
        cmocka_unit_test_setup_teardown(an_outbox, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(an_outbox_whose_sqlite_has_no_memory, open_kinds,
                                        close_kinds),
        cmocka_unit_test_setup_teardown(a_file_that_is_followed, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(lines_that_are_refused, open_kinds, close_kinds),
        cmocka_unit_test(answers_to_lines),
        cmocka_unit_test(a_request_of_the_city),
        cmocka_unit_test(a_hearing_of_the_city),
        cmocka_unit_test(options_need_no_memory),
    };
    lead_jansson();
    return cmocka_run_group_tests(tests, lead_sqlite, NULL);
}
