/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/buf.h"
#include "../../common/day.h"
#include "../../common/log.h"
#include "../../producers/asked.h"
#include "../../producers/asked_message.h"
#include "../../producers/outbox_send.h"
#include "scratch.h"

#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <sodium.h>

#define FETCH 1 /* Kafka's number of the request */
#define MAY_NOT_READ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
#define LIMIT_MS 20000
#define APPEND_MS INT64_C(1644453000000) /* 2022-02-10T00:30:00Z */
#define AT "\"asked_at\":\"2022-02-10T08:30:00.000+08:00\""
#define HEAD "{" AT ",\"attempt\":2,\"runs\":["
#define OURS "\"topic\":\"t.checkpoint\",\"run\":\"0123456789ab\""

static struct asked_message message;

static enum fx_code parse(const char *text, size_t size, struct fx_err *err)
{
    const struct asked_bytes came = {text, size, APPEND_MS};
    return asked_parse(&came, "t.checkpoint", &message, err);
}

static void a_request_is_read(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    static const char text[] =
        HEAD "{" OURS ",\"ranges\":[[4811,4813],[4815,4815]]},"
             "{\"topic\":\"t.test-site\",\"run\":\"000000000001\",\"ranges\":[[1,2]]},"
             "{\"topic\":\"t.checkpoint\",\"run\":\"ffffffffffff\",\"ranges\":[[1,"
             "9223372036854775807]],\"later\":{}}],\"more\":[1.5]}";
    assert_int_equal(parse(text, strlen(text), &err), FX_OK);
    assert_int_equal(message.asked_at_ms, APPEND_MS);
    assert_int_equal(message.attempt, 2);
    assert_int_equal(message.count, 3);
    assert_int_equal(message.spans[1].run, 0x0123456789ab);
    assert_int_equal(message.spans[1].first, 4815);
    assert_int_equal(message.spans[2].run, 0xffffffffffff);
    assert_int_equal(message.spans[2].last, INT64_MAX);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "not a JSON object"},
        {"nothing", "not a JSON object"},
        {"[]", "not a JSON object"},
        {HEAD "{" OURS ",\"ranges\":[[1,1]]}]} x", "not a JSON object"},
        {"{" AT "," AT ",\"attempt\":1,\"runs\":[]}", "not a JSON object"},
        {"{\"attempt\":1,\"runs\":[]}", "\"asked_at\" is no time"},
        {"{\"asked_at\":1644453000000,\"attempt\":1,\"runs\":[]}", "\"asked_at\" is no time"},
        {"{\"asked_at\":\"soon\",\"attempt\":1,\"runs\":[]}", "\"asked_at\" is no time"},
        {"{\"asked_at\":\"2022-02-10T10:00:00+08:00\",\"attempt\":1,\"runs\":[]}", "not near"},
        {"{\"asked_at\":\"1999-02-10\",\"attempt\":1,\"runs\":[]}", "not near"},
        {"{" AT ",\"attempt\":0,\"runs\":[]}", "\"attempt\""},
        {"{" AT ",\"attempt\":1.0,\"runs\":[]}", "\"attempt\""},
        {"{" AT ",\"attempt\":1000001,\"runs\":[]}", "\"attempt\""},
        {HEAD "]}", "\"runs\" is no array, or an empty one"},
        {HEAD "7]}", "\"topic\" is no topic's name"},
        {HEAD "{\"topic\":\"a b\"}]}", "\"topic\" is no topic's name"},
        {HEAD "{\"topic\":\"t\",\"run\":\"0123456789AB\"}]}", "\"run\" is not 12"},
        {HEAD "{\"topic\":\"t\",\"run\":\"0123456789abc\"}]}", "\"run\" is not 12"},
        {HEAD "{\"topic\":\"t\",\"run\":\"0x3456789abc\"}]}", "\"run\" is not 12"},
        {HEAD "{" OURS "}]}", "\"ranges\" is no array"},
        {HEAD "{" OURS ",\"ranges\":[]}]}", "\"ranges\" is no array"},
        {HEAD "{" OURS ",\"ranges\":[[1]]}]}", "no pair of integers"},
        {HEAD "{" OURS ",\"ranges\":[[1,2,3]]}]}", "no pair of integers"},
        {HEAD "{" OURS ",\"ranges\":[[1,2.0]]}]}", "no pair of integers"},
        {HEAD "{" OURS ",\"ranges\":[[\"1\",2]]}]}", "no pair of integers"},
        {HEAD "{" OURS ",\"ranges\":[[0,2]]}]}", "begins below 1"},
        {HEAD "{" OURS ",\"ranges\":[[3,2]]}]}", "is empty"},
        {HEAD "{" OURS ",\"ranges\":[[1,9223372036854775808]]}]}", "not a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx_err err = FX_ERR_INIT;
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &err), FX_EINPUT);
        assert_holds(err.text, cases[i].why);
    }
}

/* As many ranges as may be, of whatever topic, and one more. */
static void a_request_is_bounded(void **state)
{
    (void)state;
    for (int count = ASKED_SPANS_MAX; count <= ASKED_SPANS_MAX + 1; count++) {
        struct fx_err err = FX_ERR_INIT;
        struct buf text = BUF_INIT;
        buf_append_text(&text, HEAD "{\"topic\":\"other\",\"run\":\"000000000001\",\"ranges\":[");
        for (int i = 0; i < count; i++)
            buf_append_text(&text, i == 0 ? "[1,1]" : ",[1,1]");
        buf_append_text(&text, "]}]}");
        bool is_right = count <= ASKED_SPANS_MAX;
        assert_int_equal(parse((char *)text.data, text.size, &err), is_right ? FX_OK : FX_EINPUT);
        assert_int_equal(message.count, 0);
        while (text.size <= ASKED_BYTES_MAX)
            buf_append_byte(&text, ' ');
        fx_err_clear(&err);
        assert_int_equal(parse((char *)text.data, text.size, &err), FX_EINPUT);
        assert_holds(err.text, "65537 bytes");
        buf_release(&text);
    }
}

/* ---- the reader, on librdkafka's own broker ---- */

static rd_kafka_t *client;
static rd_kafka_mock_cluster_t *cluster;

static int closed; /* clients of Kafka, ours and the reader's */

void __real_rd_kafka_destroy(rd_kafka_t *rk);
void __wrap_rd_kafka_destroy(rd_kafka_t *rk)
{
    closed++;
    __real_rd_kafka_destroy(rk);
}

struct bench {
    struct scratch scratch;
    struct outbox *outbox;
    struct asked *asked;
    char path[512];
    char topic[32];
    char text[300]; /* of the request last made */
    int64_t run;
    struct fx_err err;
};

static int start_broker(void **state)
{
    (void)state;
    char text[256];
    fx_log_open("asked_test", FX_LOG_ERROR);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cluster = rd_kafka_mock_cluster_new(client, 1);
    rd_kafka_brokers_add(client, rd_kafka_mock_cluster_bootstraps(cluster));
    return sodium_init() < 0 || cluster == NULL ? -1 : 0;
}

static int stop_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}

/* Nine events of source A. */
static void fill(struct bench *bench)
{
    struct outbox_run *run = NULL;
    const struct outbox_event event = {(const uint8_t *)"x", 1, APPEND_MS, APPEND_MS, NULL};
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    assert_int_equal(outbox_take_run(bench->outbox, "A", "4415", &run, &bench->err), FX_OK);
    for (int i = 0; i < 9; i++)
        assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
    bench->run = run->run;
}

static void open_reader(struct bench *bench)
{
    const struct asked_options options = {
        .kafka = {.brokers = rd_kafka_mock_cluster_bootstraps(cluster),
                  .properties = {{"fetch.wait.max.ms=10"}, 1}},
        .topic = bench->topic,
        .own_topic = "t.checkpoint",
        .outbox = bench->outbox};
    if (asked_open(&options, &bench->asked, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static int set_up(void **state)
{
    static struct bench bench;
    static int topics;
    bench = (struct bench){0};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    snprintf(bench.topic, sizeof bench.topic, "t%d.resend", topics++);
    const struct outbox_options options = {.path = bench.path, .kind = "checkpoint"};
    if (rd_kafka_mock_topic_create(cluster, bench.topic, 3, 1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        outbox_open(&options, &bench.outbox, &bench.err) != FX_OK)
        return -1;
    fill(&bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    asked_close(bench->asked);
    outbox_close(bench->outbox);
    scratch_close(&bench->scratch);
    return 0;
}

/* text NULL: a withdrawal. */
static void produce(struct bench *bench, int partition, const char *key, const char *text)
{
    assert_int_equal(
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(bench->topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_KEY(key, strlen(key)),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)text, text ? strlen(text) : 0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(client, LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static const char *request(struct bench *bench, int attempt, int first, int last)
{
    snprintf(bench->text, sizeof bench->text,
             "{" AT ",\"attempt\":%d,\"runs\":[{\"topic\":\"t.checkpoint\",\"run\":\"%012llx\","
             "\"ranges\":[[%d,%d]]}]}",
             attempt, (unsigned long long)bench->run, first, last);
    return bench->text;
}

/* Polls as a station does, until so many were obeyed and found wrong; how often it was told. */
static int poll_until(struct bench *bench, int64_t obeyed, int64_t wrong)
{
    struct asked_counts counts = {0};
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    int noted = 0;
    while (counts.obeyed != obeyed || counts.wrong != wrong || !asked_is_settled(bench->asked)) {
        bool is_noted = false;
        struct pollfd fd = {.fd = asked_wake_fd(bench->asked), .events = POLLIN};
        (void)!poll(&fd, 1, 200);
        if (asked_poll(bench->asked, &is_noted, &bench->err) != FX_OK)
            fail_msg("%s", bench->err.text);
        noted += is_noted;
        asked_count(bench->asked, &counts);
        if (day_monotonic_ms() > limit_ms)
            fail_msg("obeyed %lld, wrong %lld", (long long)counts.obeyed, (long long)counts.wrong);
    }
    return noted;
}

static int64_t count_resends(struct bench *bench)
{
    int64_t count = -1;
    assert_int_equal(outbox_count_resends(bench->outbox, &count, &bench->err), FX_OK);
    return count;
}

static void all_partitions_are_read(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, "A", request(bench, 1, 1, 2));
    produce(bench, 0, "A", request(bench, 2, 4, 4));
    produce(bench, 2, "A", request(bench, 3, 6, 7));
    open_reader(bench);
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    struct asked_counts counts = {0};
    while (!asked_is_settled(bench->asked) && day_monotonic_ms() < limit_ms) {
        bool is_noted;
        assert_int_equal(asked_poll(bench->asked, &is_noted, &bench->err), FX_OK);
        usleep(1000);
    }
    assert_true(asked_is_settled(bench->asked));
    asked_count(bench->asked, &counts); /* in which order partitions come nobody knows */
    assert_in_range(counts.obeyed, 1, 3);
    produce(bench, 1, "A", request(bench, 4, 9, 9));
    assert_int_equal(poll_until(bench, counts.obeyed + 1, 0), 1);
}

static void others_and_wrong_ones_are_passed_over(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, "B", request(bench, 1, 1, 2));
    produce(bench, 0, "B", "of no interest");
    produce(bench, 0, "A", "wrong");
    produce(bench, 0, "", "wrong");
    produce(bench, 0, "A", NULL);
    produce(bench, 0, "A", request(bench, 1, 3, 4));
    open_reader(bench);
    assert_int_equal(poll_until(bench, 1, 2), 1);
    assert_int_equal(count_resends(bench), 1);
}

static void a_restart_obeys_nothing_twice(void **state)
{
    struct bench *bench = *state;
    produce(bench, 1, "A", request(bench, 1, 1, 2));
    open_reader(bench);
    poll_until(bench, 1, 0);
    asked_close(bench->asked);
    open_reader(bench);
    assert_int_equal(poll_until(bench, 0, 0), 0);
    produce(bench, 1, "A", request(bench, 2, 1, 2));
    poll_until(bench, 1, 0);
    assert_int_equal(count_resends(bench), 1);
}

static void an_empty_topic_is_settled(void **state)
{
    struct bench *bench = *state;
    open_reader(bench);
    assert_false(asked_is_settled(bench->asked));
    assert_int_equal(poll_until(bench, 0, 0), 0);
}

/* It may be seen and not be read: told once, however often it is tried, and a message ends it. */
static void a_topic_that_may_not_be_read_is_told_once(void **state)
{
    struct bench *bench = *state;
    struct asked_counts counts = {0};
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    produce(bench, 0, "A", request(bench, 1, 1, 2));
    while (counts.away < 2 && day_monotonic_ms() < limit_ms) {
        bool is_noted = false;
        if (bench->asked == NULL) {
            rd_kafka_mock_push_request_errors(cluster, FETCH, 1, MAY_NOT_READ);
            open_reader(bench);
        }
        assert_int_equal(asked_poll(bench->asked, &is_noted, &bench->err), FX_OK);
        asked_count(bench->asked, &counts);
        assert_int_equal(counts.obeyed, 0);
        if (counts.away == 1)
            rd_kafka_mock_push_request_errors(cluster, FETCH, 1, MAY_NOT_READ);
        usleep(10000);
    }
    rd_kafka_mock_clear_request_errors(cluster, FETCH);
    assert_int_equal(counts.away, 2);
    assert_int_equal(counts.told, 1);
    poll_until(bench, 1, 0);
}

/* To close a consumer is to wait for its threads, which may sit in a resolver that does not answer.
 */
static void an_outage_closes_nothing(void **state)
{
    struct bench *bench = *state;
    struct asked_counts counts = {0};
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    produce(bench, 0, "A", request(bench, 1, 1, 2));
    rd_kafka_mock_broker_set_down(cluster, 1);
    int before = closed;
    open_reader(bench);
    while (counts.away < 2 && day_monotonic_ms() < limit_ms) {
        bool is_noted = false;
        assert_int_equal(asked_poll(bench->asked, &is_noted, &bench->err), FX_OK);
        asked_count(bench->asked, &counts);
        usleep(10000);
    }
    rd_kafka_mock_broker_set_up(cluster, 1);
    assert_int_equal(counts.away, 2);
    poll_until(bench, 1, 0);
    assert_int_equal(closed, before);
}

static void a_property_that_does_not_fit_is_told(void **state)
{
    struct bench *bench = *state;
    const struct asked_options options = {
        .kafka = {.brokers = "x:1", .properties = {{"fetch.wait.max.ms=long"}, 1}},
        .topic = bench->topic,
        .own_topic = "t.checkpoint",
        .outbox = bench->outbox};
    assert_int_equal(asked_open(&options, &bench->asked, &bench->err), FX_ECONFIG);
    bench->asked = NULL;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_request_is_read),
                                       cmocka_unit_test(what_is_wrong_is_said),
                                       cmocka_unit_test(a_request_is_bounded),
                                       TEST(all_partitions_are_read),
                                       TEST(others_and_wrong_ones_are_passed_over),
                                       TEST(a_restart_obeys_nothing_twice),
                                       TEST(an_empty_topic_is_settled),
                                       TEST(a_topic_that_may_not_be_read_is_told_once),
                                       TEST(an_outage_closes_nothing),
                                       TEST(a_property_that_does_not_fit_is_told)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
