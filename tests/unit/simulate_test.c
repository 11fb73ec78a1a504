/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated days: same seed, same bytes; sums hold; nothing leaves that has not come in. */
#include "simulated.h"

#define SOURCES_MAX 450
#define TIERS 6

/* Those with a random background. */
static const char *const kinds[] = {"checkpoint", "test_site", "quarantine"};
#define KINDS 3

/* The city's story has posts of its own, two in a town at most. */
#define STORY_SOURCES_MAX 12

static void test_seed_decides(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        struct simulation_options options = a_day(kinds[i], 5000, 40);
        struct simulation_options other = options;
        int64_t count = 0;
        assert_true(is_same_run(&options, &other, &count));
        assert_int_equal(count, options.events);
        other.seed = 8;
        assert_false(is_same_run(&options, &other, &count));
    }
}

static void test_skip_is_next_unwritten(void **state)
{
    (void)state;
    static const int64_t skips[] = {0, 1, 2, 777, 3999, 4000};
    for (size_t i = 0; i < KINDS * sizeof(skips) / sizeof(skips[0]); i++) {
        int64_t count = skips[i / KINDS];
        struct fx_err err = FX_ERR_INIT;
        struct simulation_options options = a_day(kinds[i % KINDS], 4000, 40);
        struct simulation *read = must_open(&options);
        struct simulation *skipped = must_open(&options);
        struct buf a = BUF_INIT;
        struct buf b = BUF_INIT;
        for (int64_t n = 0; n < count; n++)
            assert_true(must_next(read, &a));
        assert_int_equal(simulation_skip(skipped, count, &err), FX_OK);
        bool is_line = true;
        while (is_line) {
            is_line = must_next(read, &a);
            assert_int_equal(must_next(skipped, &b), is_line);
            assert_int_equal(a.size, b.size);
            assert_true(a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
        }
        assert_int_equal(simulation_skip(skipped, 1, &err), FX_ECONFIG);
        buf_release(&a);
        buf_release(&b);
        simulation_close(read);
        simulation_close(skipped);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    struct region_tree bare;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&bare, &err), FX_OK);
    struct simulation_options cases[8];
    for (int i = 0; i < 8; i++)
        cases[i] = a_day("checkpoint", 10, 10);
    cases[0].kind = "weather";
    cases[1].to_ms = cases[1].from_ms;
    cases[2].events = 0;
    cases[3].sources = 0;
    cases[4].sources = SIMULATION_SOURCES_MAX + 1;
    cases[5].regions = &bare;
    cases[6].to_ms = INT64_MAX;
    cases[7].from_ms = 0;
    for (int i = 0; i < 8; i++) {
        struct simulation *simulation = NULL;
        fx_err_clear(&err);
        assert_int_equal(simulation_open(&cases[i], &simulation, &err), FX_ECONFIG);
        assert_null(simulation);
    }
    region_tree_release(&bare);
    simulation_close(NULL);
}

struct seen {
    char source[64];
    int64_t last_ms;
    int64_t census[TIERS];
    int64_t households[TIERS];
    int64_t tubes[6]; /* by step of test_site */
};

struct tally {
    struct seen seen[SOURCES_MAX];
    int seen_count;
    int64_t levels[REGION_LEVEL_COUNT];
    int64_t nodes[16]; /* by index in the tree */
    int64_t late;
    int64_t transferred; /* on the road */
    int64_t off_by_one;
    int64_t hours[24];
};

static int64_t number(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static const char *text(const json_t *line, const char *key)
{
    const char *value = json_string_value(json_object_get(line, key));
    assert_non_null(value);
    return value;
}

static bool is_text(const json_t *line, const char *key, const char *value)
{
    return strcmp(text(line, key), value) == 0;
}

static int index_of(const char *const *words, int count, const char *word)
{
    int i = 0;
    while (i < count && strcmp(words[i], word) != 0)
        i++;
    assert_true(i < count);
    return i;
}

static struct seen *find_seen(struct tally *tally, const char *source)
{
    int i = 0;
    while (i < tally->seen_count && strcmp(tally->seen[i].source, source) != 0)
        i++;
    if (i == tally->seen_count) {
        assert_true(i < SOURCES_MAX);
        snprintf(tally->seen[i].source, sizeof(tally->seen[i].source), "%s", source);
        tally->seen_count++;
    }
    return &tally->seen[i];
}

/* Of all numbers whose key begins so. */
static int64_t sum(json_t *line, const char *prefix)
{
    int64_t total = 0;
    for (void *at = json_object_iter(line); at != NULL; at = json_object_iter_next(line, at)) {
        if (strncmp(json_object_iter_key(at), prefix, strlen(prefix)) == 0)
            total += json_integer_value(json_object_iter_value(at));
    }
    return total;
}

static void check_checkpoint(json_t *line, struct seen *seen, struct tally *tally)
{
    (void)seen;
    (void)tally;
    int64_t persons = number(line, "persons");
    assert_in_range(persons, 1, 60);
    int64_t stopped = number(line, "held_fever") + number(line, "to_quarantine");
    assert_int_equal(sum(line, "passed") + number(line, "turned_back") + stopped, persons);
    assert_true(sum(line, "code_") <= persons && sum(line, "itinerary_") <= persons);
    assert_true(number(line, "held_fever") <= number(line, "temperature_high"));
    assert_true(number(line, "to_quarantine") >= number(line, "code_red"));
    assert_int_equal(is_text(line, "vehicle", "ON_FOOT"), is_text(line, "plate_scope", "NO_PLATE"));
    assert_int_equal(number(line, "temperature_max_decicelsius") >= 373,
                     number(line, "temperature_high") > 0);
}

enum { SAMPLED, SEALED, RECEIVED, REJECTED, RESULTED };

static void check_test_site(json_t *line, struct seen *seen, struct tally *tally)
{
    static const char *const steps[] = {"SAMPLED",  "SEALED",   "RECEIVED",
                                        "REJECTED", "RESULTED", "STATUS"};
    (void)tally;
    int step = index_of(steps, 6, text(line, "step"));
    int64_t tubes = number(line, "tubes");
    int64_t persons = number(line, "persons");
    seen->tubes[step] += tubes;
    assert_true(persons >= tubes && persons <= tubes * number(line, "pool_size"));
    assert_int_equal(is_text(line, "scheme", "MASS"),
                     strncmp(text(line, "round"), "2022-R", 6) == 0);
    assert_int_equal(strcmp(steps[step], "STATUS") != 0, tubes > 0);
    assert_int_equal(step == RESULTED, json_object_get(line, "result") != NULL);
    assert_int_equal(step == RESULTED, json_object_get(line, "minutes_since_sampling") != NULL);
    assert_true(number(line, "minutes_since_sampling") >= 0);
    assert_true(seen->tubes[SEALED] <= seen->tubes[SAMPLED]);
    assert_true(seen->tubes[RECEIVED] <= seen->tubes[SEALED]);
    assert_true(seen->tubes[RESULTED] + seen->tubes[REJECTED] <= seen->tubes[RECEIVED]);
}

static void check_quarantine(json_t *line, struct seen *seen, struct tally *tally)
{
    static const char *const tiers[] = {"CLOSE",     "SECONDARY",   "COMPANION",
                                        "RISK_AREA", "FROM_ABROAD", "OTHER"};
    int tier = index_of(tiers, TIERS, text(line, "tier"));
    int64_t persons = number(line, "persons");
    bool is_home = is_text(line, "place", "HOME");
    assert_int_equal(is_home, strncmp(seen->source, "SIM-HB-", 7) == 0);
    assert_true(is_home || number(line, "households") == 0);
    if (is_text(line, "step", "STATUS")) {
        int64_t off = number(line, "reported_persons") - seen->census[tier];
        assert_true(off >= -1 && off <= 1);
        tally->off_by_one += off != 0;
        assert_true(number(line, "rooms_in_use") <= number(line, "rooms_total"));
        return;
    }
    assert_true(persons > 0 && number(line, "households") <= persons);
    bool is_in = is_text(line, "step", "ADMITTED") || is_text(line, "step", "TRANSFERRED_IN");
    seen->census[tier] += is_in ? persons : -persons;
    seen->households[tier] += (is_in ? 1 : -1) * number(line, "households");
    assert_true(seen->census[tier] >= 0 && seen->households[tier] >= 0);
    assert_true(!is_home || (seen->census[tier] == 0) == (seen->households[tier] == 0));
    bool is_transfer = strncmp(text(line, "step"), "TRANSFERRED", 11) == 0;
    tally->transferred += !is_transfer ? 0 : is_in ? -persons : persons;
    assert_true(tally->transferred >= 0);
}

static void (*const checks[KINDS])(json_t *, struct seen *, struct tally *) = {
    check_checkpoint, check_test_site, check_quarantine};

static void check_run(const struct simulation_options *options, struct tally *tally,
                      void (*check)(json_t *, struct seen *, struct tally *))
{
    struct simulation *simulation = must_open(options);
    struct buf line = BUF_INIT;
    int64_t newest_ms = options->from_ms;
    while (must_next(simulation, &line)) {
        json_t *json = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        const char *region = text(json, "region");
        int node = region_tree_find(&tree, region, strlen(region));
        struct seen *seen = find_seen(tally, text(json, "source"));
        int64_t at_ms = number(json, "at");
        assert_true(node > REGION_OUTSIDE);
        assert_non_null(strstr(seen->source, region));
        assert_true(at_ms >= options->from_ms && at_ms < options->to_ms);
        assert_true(at_ms >= seen->last_ms);
        tally->late += at_ms < newest_ms;
        tally->levels[tree.nodes[node].level]++;
        tally->nodes[node]++;
        tally->hours[(at_ms + DAY_ZONE_OFFSET_MS) / DAY_HOUR_MS % 24]++;
        newest_ms = at_ms > newest_ms ? at_ms : newest_ms;
        seen->last_ms = at_ms;
        check(json, seen, tally);
        json_decref(json);
    }
    buf_release(&line);
    simulation_close(simulation);
}

static void test_a_day_holds(void **state)
{
    (void)state;
    static struct tally tally;
    for (int i = 0; i < KINDS; i++) {
        struct simulation_options options = a_day(kinds[i], 30000, 150);
        memset(&tally, 0, sizeof(tally));
        check_run(&options, &tally, checks[i]);
        assert_in_range(tally.seen_count, 145, 150 + STORY_SOURCES_MAX);
        assert_true(tally.levels[REGION_CITY] * 1000 >= options.events * 15);
        assert_true(tally.levels[REGION_COUNTY] * 1000 >= options.events * 15);
        assert_in_range(tally.late, options.events / 400, options.events / 100);
        assert_true(tally.hours[8] > 5 * tally.hours[3]);
        assert_true(tally.hours[17] > 5 * tally.hours[3]);
        assert_true(tally.off_by_one * 50 < options.events);
    }
}

/* One post, few posts, more posts than lines, lines denser than milliseconds, an odd span. */
static void test_extremes_hold(void **state)
{
    (void)state;
    static const struct {
        int64_t events;
        int64_t sources;
        int64_t span_ms;
    } extremes[] = {
        {2000, 1, DAY_MS}, {2000, 3, 90 * DAY_MS}, {2000, 8, 1},        {2000, 30, 999},
        {1, 400, DAY_MS},  {300, 400, 5},          {20000, 2, 3600000},
    };
    static struct tally tally;
    for (size_t i = 0; i < KINDS * sizeof(extremes) / sizeof(extremes[0]); i++) {
        size_t extreme = i / KINDS;
        struct simulation_options options =
            a_day(kinds[i % KINDS], extremes[extreme].events, extremes[extreme].sources);
        options.from_ms += 12345;
        options.to_ms = options.from_ms + extremes[extreme].span_ms;
        memset(&tally, 0, sizeof(tally));
        check_run(&options, &tally, checks[i % KINDS]);
    }
}

/* A month of quarantine: what comes in goes out again. */
static void test_quarantine_balances(void **state)
{
    (void)state;
    static struct tally tally;
    struct simulation_options options = a_day("quarantine", 60000, 40);
    options.to_ms = options.from_ms + 30 * DAY_MS;
    check_run(&options, &tally, check_quarantine);
    int64_t held = 0;
    for (int i = 0; i < tally.seen_count; i++) {
        for (int tier = 0; tier < TIERS; tier++)
            held += tally.seen[i].census[tier];
    }
    assert_in_range(held, 40 * 5, 40 * 180);
    assert_in_range(tally.transferred, 0, 100);
}

/* 163,989, 106,660 and 3,304 residents: lines in proportion, save for posts that were dark. */
static void test_towns_follow_the_census(void **state)
{
    (void)state;
    static struct tally tally;
    struct simulation_options options = a_day("checkpoint", 60000, 300);
    check_run(&options, &tally, check_checkpoint);
    int64_t haicheng = tally.nodes[region_tree_find(&tree, "441521115", 9)];
    int64_t meilong = tally.nodes[region_tree_find(&tree, "441521101", 9)];
    int64_t dahu = tally.nodes[region_tree_find(&tree, "441521109", 9)];
    assert_in_range(haicheng * 1000, 1400 * meilong, 1700 * meilong); /* 1,537 */
    assert_in_range(haicheng, 38 * dahu, 65 * dahu);                  /* 49.6 */
}

static void test_sources_are_listed(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        struct fx_err err = FX_ERR_INIT;
        struct simulation_options options = a_day(kinds[i], 1, 120);
        struct simulation *simulation = must_open(&options);
        char *rows = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&rows, &size);
        assert_int_equal(simulation_write_sources(simulation, out, &err), FX_OK);
        fclose(out);
        int count = 0;
        for (const char *at = rows; *at != '\0'; at = strchr(at, '\n') + 1) {
            assert_memory_equal(at, "SIM-", 4);
            count++;
        }
        assert_int_equal(count, 120);
        assert_non_null(strstr(rows, ",441521115,2022-02-10,\n"));
        assert_non_null(strstr(rows, ",441500,2022-02-10,\n"));
        assert_non_null(strstr(rows, ",\"华侨\"\"管理区\"\", 场"));
        free(rows);
        simulation_close(simulation);
    }
}

static void test_producer_accepts(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++)
        must_accept_kind(kinds[i], 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_skip_is_next_unwritten),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_a_day_holds),
        cmocka_unit_test(test_extremes_hold),
        cmocka_unit_test(test_quarantine_balances),
        cmocka_unit_test(test_towns_follow_the_census),
        cmocka_unit_test(test_sources_are_listed),
        cmocka_unit_test(test_producer_accepts),
    };
    return cmocka_run_group_tests(tests, open_tree, close_tree);
}
