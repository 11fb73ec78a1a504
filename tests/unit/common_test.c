/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/args.h"
#include "../../common/buf.h"
#include "../../common/day.h"
#include "../../common/retry.h"
#include "../../common/text.h"
#include "scratch.h"

static void err_keeps_the_first_cause(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(fx_err_set(&err, FX_EINPUT, "temperature %d", 999), FX_EINPUT);
    assert_int_equal(fx_err_set(&err, FX_EDISK, "something later"), FX_EINPUT);
    assert_int_equal(fx_err_wrap(&err, "line %d", 7), FX_EINPUT);
    assert_string_equal(err.text, "line 7: temperature 999");
    fx_err_clear(&err);
    assert_int_equal(err.code, FX_OK);
    assert_int_equal(fx_err_set(&err, FX_EDISK, "full"), FX_EDISK);
    assert_string_equal(err.text, "full");
}

static void err_cuts_long_texts(void **state)
{
    (void)state;
    char longer[2 * FX_ERR_TEXT_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(fx_err_set(&err, FX_ERETRY, "%s", longer), FX_ERETRY);
    assert_int_equal(strlen(err.text), FX_ERR_TEXT_MAX - 1);
    assert_int_equal(fx_err_wrap(&err, "outside"), FX_ERETRY);
    assert_int_equal(strlen(err.text), FX_ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "outside: xxx", 12);
}

/* A format or the end of the text may cut within a character. */
static void err_texts_are_utf8(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(fx_err_set(&err, FX_EINPUT, "\"%.4s\" is no code", "卡口"), FX_EINPUT);
    assert_string_equal(err.text, "\"卡?\" is no code");
    fx_err_wrap(&err, "%.5s", "é卡");
    assert_string_equal(err.text, "é卡: \"卡?\" is no code");
    fx_err_wrap(&err, "%s", "\xff\xf0\x9f\x98.\xed\xa0\x80");
    assert_string_equal(err.text, "????.???: é卡: \"卡?\" is no code");
    for (int size = 1; size <= 3; size++) {
        char longer[FX_ERR_TEXT_MAX + 8] = "xxx";
        for (int i = size; i + 3 < (int)sizeof longer; i += 3)
            memcpy(longer + i, "卡", 4);
        fx_err_clear(&err);
        fx_err_set(&err, FX_EINPUT, "%s", longer);
        assert_int_equal(strlen(err.text), FX_ERR_TEXT_MAX - 1);
        assert_true(text_is_utf8(err.text, strlen(err.text)));
    }
}

static void err_codes_have_names_and_statuses(void **state)
{
    (void)state;
    assert_string_equal(fx_code_name(FX_ECONFIG), "FX_ECONFIG");
    assert_int_equal(fx_code_exit_status(FX_OK), 0);
    assert_int_equal(fx_code_exit_status(FX_EINPUT), 1);
    assert_int_equal(fx_code_exit_status(FX_ECONFIG), 2);
    assert_int_equal(fx_code_exit_status(FX_ESTATE), 3);
    assert_int_equal(fx_code_exit_status(FX_ERETRY), 4);
    assert_int_equal(fx_code_exit_status(FX_EDISK), 5);
}

static void buf_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    assert_string_equal(buf_text(&buf), "");
    for (int i = 0; i < 1000; i++)
        buf_append_format(&buf, "%03d,", i);
    assert_int_equal(buf.size, 4000);
    assert_memory_equal(buf_text(&buf) + 4 * 517, "517,518,", 8);
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(buf_check(&buf, &err), FX_OK);
    buf_reset(&buf);
    buf_append(&buf, "a\0b", 3);
    buf_append_byte(&buf, 'c');
    buf_append(&buf, "", 0);
    assert_int_equal(buf.size, 4);
    assert_memory_equal(buf_text(&buf), "a\0bc", 5);
    buf_release(&buf);
    assert_null(buf.data);
}

static void buf_remembers_a_failed_append(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_text(&buf, "kept");
    buf.is_failed = true;
    buf_append_text(&buf, "lost");
    assert_int_equal(buf.size, 4);
    assert_null(buf_reserve(&buf, 1));
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(buf_check(&buf, &err), FX_EMEMORY);
    buf_reset(&buf);
    buf_append_text(&buf, "new");
    assert_string_equal(buf_text(&buf), "new");
    buf_release(&buf);
}

static void day_parses_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t instant_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2020-01-01T00:00:00Z", DAY_2020_MS},
        {"2022-02-10T08:30:00Z", INT64_C(1644481800000)},
        {"2022-02-10T08:30:00+08:00", INT64_C(1644453000000)},
        {"2022-02-10T08:30:00+0800", INT64_C(1644453000000)},
        {"2022-02-10 08:30", INT64_C(1644453000000)},
        {"2022-02-10", INT64_C(1644422400000)},
        {"2022-02-10T08:30:00.1259Z", INT64_C(1644481800125)},
        {"2022-02-09T19:30:00-05:00", INT64_C(1644453000000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"1644481800125", INT64_C(1644481800125)},
        {"-1", -1},
        {"9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx_err err = FX_ERR_INIT;
        int64_t instant_ms = 7;
        if (day_parse(cases[i].text, &instant_ms, &err) != FX_OK)
            fail_msg("%s: %s", cases[i].text, err.text);
        if (instant_ms != cases[i].instant_ms)
            fail_msg("%s: %lld", cases[i].text, (long long)instant_ms);
    }
}

static void day_refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "yesterday",
        "2022-02-30",
        "2023-02-29",
        "2100-02-29",
        "2022-13-01",
        "2022-00-01",
        "2022-2-1",
        "2022-02-10T24:00:00Z",
        "2022-02-10T08:60:00Z",
        "2022-02-10T08:30:60Z",
        "2022-02-10T08:30:00.Z",
        "2022-02-10T08:30:00Zjunk",
        "2022-02-10T",
        "2022-02-10T08:30:00+24:00",
        "12 34",
        "9223372036854775808",
        "-99999999999999999999",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx_err err = FX_ERR_INIT;
        int64_t instant_ms = 7;
        if (day_parse(cases[i], &instant_ms, &err) != FX_EINPUT || instant_ms != 7)
            fail_msg("\"%s\" was taken as %lld", cases[i], (long long)instant_ms);
    }
}

static void day_formats_in_the_reporting_zone(void **state)
{
    (void)state;
    char text[DAY_TEXT_SIZE];
    assert_string_equal(day_format(INT64_C(1644453000125), text), "2022-02-10T08:30:00.125+08:00");
    assert_string_equal(day_format(-1, text), "1970-01-01T07:59:59.999+08:00");
    struct fx_err err = FX_ERR_INIT;
    int64_t again = 0;
    assert_int_equal(day_parse(day_format(INT64_C(1709164799999), text), &again, &err), FX_OK);
    assert_true(again == INT64_C(1709164799999));
    assert_string_equal(day_format(INT64_MAX, text), "292278994-08-17T15:12:55.807+08:00");
    assert_string_equal(day_format(INT64_MIN, text), "-292275055-05-17T00:47:04.192+08:00");
}

static void day_buckets_towards_minus_infinity(void **state)
{
    (void)state;
    assert_true(day_bucket_ms(DAY_HOUR_MS + 1, DAY_HOUR_MS) == DAY_HOUR_MS);
    assert_true(day_bucket_ms(DAY_HOUR_MS, DAY_HOUR_MS) == DAY_HOUR_MS);
    assert_true(day_bucket_ms(DAY_HOUR_MS - 1, DAY_HOUR_MS) == 0);
    assert_true(day_bucket_ms(-1, DAY_HOUR_MS) == -DAY_HOUR_MS);
    /* 2022-02-10T16:00Z is midnight of the 11th in Shanghai. */
    int64_t midnight_ms = INT64_C(1644508800000);
    assert_true(day_local_start_ms(midnight_ms) == midnight_ms);
    assert_true(day_local_start_ms(midnight_ms - 1) == midnight_ms - DAY_MS);
}

static void day_parses_widths(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    int64_t width_ms = 0;
    assert_int_equal(day_parse_width("15min", &width_ms, &err), FX_OK);
    assert_true(width_ms == 900000);
    assert_int_equal(day_parse_width("1h", &width_ms, &err), FX_OK);
    assert_true(width_ms == DAY_HOUR_MS);
    assert_int_equal(day_parse_width("1d", &width_ms, &err), FX_OK);
    assert_true(width_ms == DAY_MS);
    static const char *const wrong[] = {"", "h", "0h", "-1h", "1", "1 h", "1441min", "1w"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fx_err_clear(&err);
        if (day_parse_width(wrong[i], &width_ms, &err) != FX_ECONFIG)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
    assert_true(width_ms == DAY_MS);
}

static void text_knows_utf8(void **state)
{
    (void)state;
    assert_true(text_is_utf8("", 0));
    assert_true(text_is_utf8("abc \xe6\xb5\xb7 \xf0\x9f\x9a\x97", 12));
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {
        {"a\0b", 3},
        {"\x80", 1},
        {"\xc0\xaf", 2},
        {"\xe0\x80\x80", 3},
        {"\xed\xa0\x80", 3},
        {"\xf4\x90\x80\x80", 4},
        {"\xf5\x80\x80\x80", 4},
        {"\xe6\xb5", 2},
        {"\xf0\x8f\xbf\xbf", 4},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (text_is_utf8(wrong[i].bytes, wrong[i].size))
            fail_msg("case %zu was taken", i);
}

static void check_byte(char *name, size_t size, size_t at, int byte)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    bool is_good = byte != 0 && strchr(good, byte) != NULL;
    char kept = name[at];
    name[at] = (char)byte;
    if (text_is_name(name, size, 64) != is_good)
        fail_msg("byte %d at %zu of %zu", byte, at, size);
    name[at] = kept;
}

/* Every byte at every place of every size, in a block of that size. */
static void text_knows_the_bytes_of_names(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 64; size++) {
        char *name = malloc(size);
        assert_non_null(name);
        memset(name, 'x', size);
        for (size_t i = 0; i < size * 256; i++)
            check_byte(name, size, i / 256, (int)(i % 256));
        free(name);
    }
}

static void text_knows_names_and_identifiers(void **state)
{
    (void)state;
    assert_true(text_is_name("CP-441521115-003", 16, 64));
    assert_true(text_is_name("a", 1, 1));
    assert_false(text_is_name("", 0, 64));
    assert_false(text_is_name("ab", 2, 1));
    assert_false(text_is_name("a b", 3, 64));
    assert_false(text_is_name("a\xe6", 2, 64));
    assert_true(text_is_identifier("checked_person_times"));
    assert_true(text_is_identifier("_x1"));
    assert_false(text_is_identifier(""));
    assert_false(text_is_identifier("1x"));
    assert_false(text_is_identifier("Persons"));
    assert_false(text_is_identifier("a;b"));
    char longest[65];
    memset(longest, 'a', 64);
    longest[64] = '\0';
    assert_false(text_is_identifier(longest));
    assert_true(text_is_identifier(longest + 1));
}

static void text_copies_and_lowers_within_bounds(void **state)
{
    (void)state;
    char out[4];
    assert_true(text_copy(out, sizeof out, "abc"));
    assert_string_equal(out, "abc");
    assert_false(text_copy(out, sizeof out, "abcd"));
    assert_string_equal(out, "abc");
    assert_string_equal(text_lower(out, sizeof out, "IN_"), "in_");
    assert_string_equal(text_lower(out, sizeof out, "LONGER"), "lon");
}

struct options {
    bool is_loud;
    const char *brokers;
    int64_t workers;
    int64_t since_ms;
    struct fx_list properties;
};

static const struct fx_opt opts[] = {
    {"loud", 'l', FX_OPT_FLAG, offsetof(struct options, is_loud), NULL, NULL, 0, 0, "be loud"},
    {"brokers", 'b', FX_OPT_TEXT, offsetof(struct options, brokers), "LIST", "FX_TEST_BROKERS", 0,
     0, "where Kafka is"},
    {"workers", 0, FX_OPT_NUMBER, offsetof(struct options, workers), "N", "FX_TEST_WORKERS", 1, 64,
     "how many"},
    {"since", 0, FX_OPT_TIME, offsetof(struct options, since_ms), "TIME", NULL, 0, 0, "from when"},
    {"property", 'X', FX_OPT_LIST, offsetof(struct options, properties), "K=V", NULL, 0, 0, "more"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};
static const struct fx_program program = {"fx-test", "[options]", "a test", opts, NULL};

#define PARSE(options, err, ...)                                                                   \
    parse_words(options, err, (const char *[]){"fx-test", __VA_ARGS__, NULL})

static int operands;

static enum fx_code parse_words(struct options *options, struct fx_err *err, const char **words)
{
    struct fx_argv argv = {0, (char **)words, 0, false};
    while (words[argv.count] != NULL)
        argv.count++;
    *options = (struct options){.workers = 2};
    *err = (struct fx_err)FX_ERR_INIT;
    enum fx_code code = args_parse(&program, &argv, options, err);
    operands = argv.operands;
    return code;
}

static void args_take_every_type(void **state)
{
    (void)state;
    struct options options;
    struct fx_err err;
    assert_int_equal(PARSE(&options, &err, "-l", "--brokers=a:9092", "--workers", "8", "--since",
                           "2022-02-10", "-X", "a=1", "file", "-Xb=2"),
                     FX_OK);
    assert_true(options.is_loud);
    assert_string_equal(options.brokers, "a:9092");
    assert_true(options.workers == 8);
    assert_true(options.since_ms == INT64_C(1644422400000));
    assert_int_equal(options.properties.count, 2);
    assert_string_equal(options.properties.items[1], "b=2");
    assert_int_equal(operands, 10);
}

static void args_prefer_argv_to_the_environment(void **state)
{
    (void)state;
    struct options options;
    struct fx_err err;
    setenv("FX_TEST_BROKERS", "env:1", 1);
    setenv("FX_TEST_WORKERS", "4", 1);
    assert_int_equal(PARSE(&options, &err, "--workers", "5"), FX_OK);
    assert_string_equal(options.brokers, "env:1");
    assert_true(options.workers == 5);
    setenv("FX_TEST_WORKERS", "many", 1);
    assert_int_equal(PARSE(&options, &err, "--loud"), FX_ECONFIG);
    assert_holds(err.text, "environment FX_TEST_WORKERS");
    unsetenv("FX_TEST_BROKERS");
    unsetenv("FX_TEST_WORKERS");
    assert_int_equal(PARSE(&options, &err, "--loud"), FX_OK);
    assert_null(options.brokers);
    assert_true(options.workers == 2);
}

static void args_refuse_and_name_what_is_wrong(void **state)
{
    (void)state;
    struct options options;
    struct fx_err err;
    assert_int_equal(PARSE(&options, &err, "--worker-count", "3"), FX_ECONFIG);
    assert_holds(err.text, "'--worker-count' is unknown");
    assert_int_equal(PARSE(&options, &err, "--brokers"), FX_ECONFIG);
    assert_holds(err.text, "needs a value");
    assert_int_equal(PARSE(&options, &err, "--workers", "65"), FX_ECONFIG);
    assert_holds(err.text, "from 1 to 64");
    assert_int_equal(PARSE(&options, &err, "--workers", "8x"), FX_ECONFIG);
    assert_int_equal(PARSE(&options, &err, "--since", "never"), FX_ECONFIG);
    assert_holds(err.text, "--since: 'never'");
}

/* What --brokers says stands for a level here: any field may. */
static void args_open_takes_no_operand_and_knows_its_levels(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        enum fx_code code;
        const char *text;
    } cases[] = {
        {{"fx-test", "-b", "warn"}, FX_OK, ""},
        {{"fx-test", "-bwarn", "more"}, FX_ECONFIG, "unexpected \"more\""},
        {{"fx-test", "-b", "loud"}, FX_ECONFIG, "loud"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options options = {0};
        struct fx_err err = FX_ERR_INIT;
        char *words[4];
        memcpy(words, cases[i].words, sizeof words);
        struct fx_argv argv = {.count = 3, .words = words};
        assert_int_equal(args_open(&program, &argv, &options, &options.brokers, &err),
                         cases[i].code);
        assert_holds(err.text, cases[i].text);
    }
}

static void args_split_key_and_value(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    char name[8];
    const char *value = NULL;
    assert_int_equal(args_split("lane=a=b", name, sizeof name, &value, &err), FX_OK);
    assert_string_equal(name, "lane");
    assert_string_equal(value, "a=b");
    static const char *const wrong[] = {"lane", "=x", "too_long=x", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fx_err_clear(&err);
        if (args_split(wrong[i], name, sizeof name, &value, &err) != FX_ECONFIG)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
}

static void retry_doubles_its_ceiling_up_to_the_bound(void **state)
{
    (void)state;
    struct retry retry;
    retry_init(&retry, 100, 1000);
    static const int64_t highest[] = {200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < sizeof highest / sizeof highest[0]; i++) {
        struct retry same = retry;
        assert_true(retry_next_ms(&same, 0) == 100);
        uint64_t top = (uint64_t)(highest[i] - 100);
        assert_true(retry_next_ms(&retry, top) == highest[i]);
        assert_int_equal(retry.tries, i + 1);
    }
    retry_reset(&retry);
    assert_int_equal(retry.tries, 0);
    assert_true(retry_next_ms(&retry, 100) == 200);
}

static void retry_stays_within_its_bounds(void **state)
{
    (void)state;
    struct retry retry;
    uint64_t random = 88172645463325252U;
    retry_init(&retry, 0, 50);
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t wait_ms = retry_next_ms(&retry, random);
        assert_true(wait_ms >= 0 && wait_ms <= 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_keeps_the_first_cause),
        cmocka_unit_test(err_cuts_long_texts),
        cmocka_unit_test(err_texts_are_utf8),
        cmocka_unit_test(err_codes_have_names_and_statuses),
        cmocka_unit_test(buf_grows_and_keeps_its_bytes),
        cmocka_unit_test(buf_remembers_a_failed_append),
        cmocka_unit_test(day_parses_every_form),
        cmocka_unit_test(day_refuses_what_is_no_time),
        cmocka_unit_test(day_formats_in_the_reporting_zone),
        cmocka_unit_test(day_buckets_towards_minus_infinity),
        cmocka_unit_test(day_parses_widths),
        cmocka_unit_test(text_knows_utf8),
        cmocka_unit_test(text_knows_names_and_identifiers),
        cmocka_unit_test(text_knows_the_bytes_of_names),
        cmocka_unit_test(text_copies_and_lowers_within_bounds),
        cmocka_unit_test(args_take_every_type),
        cmocka_unit_test(args_prefer_argv_to_the_environment),
        cmocka_unit_test(args_refuse_and_name_what_is_wrong),
        cmocka_unit_test(args_open_takes_no_operand_and_knows_its_levels),
        cmocka_unit_test(args_split_key_and_value),
        cmocka_unit_test(retry_doubles_its_ceiling_up_to_the_bound),
        cmocka_unit_test(retry_stays_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
