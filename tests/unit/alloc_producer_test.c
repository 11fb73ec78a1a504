/* SPDX-License-Identifier: Apache-2.0 */
/* The producers' memory fails, at every place, jansson's and SQLite's too: see fake_alloc.h. */
#include "fake_alloc.h"

#include "../../producers/outbox_send.h"
#include "../../producers/record.h"
#include "../../producers/simulate.h"

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

static enum fx_code read_lines(struct fx_err *err)
{
    static const char *const good[] = {
        "{\"rings\":1}",
        " {\"rings\" : 2, \"id\":\"a\\u00e9b\", \"at\":\"2022-02-10T08:30:00+08:00\"}",
        "{\"rings\":3,\"source\":\"B-2\",\"region\":\"C1\"}",
    };
    const struct fx_list none = {.count = 0};
    const struct record_options options = {&catalog.kinds[TOPIC_BELL].kind, "B-1", "C1", &none,
                                           NULL};
    struct record *record = NULL;
    if (record_open(&options, &record, err) != FX_OK)
        return err->code;
    for (size_t i = 0; i < sizeof good / sizeof *good && err->code == FX_OK; i++) {
        struct record_line line = {.now_ms = NOW_MS};
        (void)(record_read(record, good[i], strlen(good[i]), &line, err) == FX_OK);
    }
    record_close(record);
    return err->code;
}

/* A good line is not refused as a wrong one because there was no memory to look at it. */
static void lines_of_a_device(void **state)
{
    (void)state;
    assert_true(fail_each(read_lines, 1) >= 3);
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
    while (!is_done && err->code == FX_OK)
        (void)(simulation_next(simulation, &line, &is_done, err) == FX_OK);
    simulation_close(simulation);
    buf_release(&line);
    return err->code;
}

static void a_simulation(void **state)
{
    (void)state;
    assert_ok(region_tree_init(&places, &err));
    assert_ok(region_tree_load(&places, FX_SCHEMAS_DIR "/regions.csv", &err));
    assert_true(fail_each(play, 1) >= 3);
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
    return err->code;
}

static void an_outbox(void **state)
{
    (void)state;
    does_sqlite_fail = false;
    assert_true(fail_each(store_events, 1) >= 10);
}

/* SQLite's allocations are thousands: some of them, from the first to the last. */
static void an_outbox_whose_sqlite_has_no_memory(void **state)
{
    (void)state;
    does_sqlite_fail = true;
    assert_true(fail_each(store_events, SQLITE_STEP) >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_of_a_device, open_kinds, close_kinds),
        cmocka_unit_test(a_simulation),
        cmocka_unit_test_setup_teardown(an_outbox, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(an_outbox_whose_sqlite_has_no_memory, open_kinds,
                                        close_kinds),
    };
    return cmocka_run_group_tests(tests, lead_sqlite, NULL);
}
