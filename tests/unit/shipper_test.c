/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/day.h"
#include "../../common/log.h"
#include "../../producers/outbox_asked.h"
#include "../../producers/outbox_send.h"
#include "../../producers/shipper.h"
#include "scratch.h"

#include <librdkafka/rdkafka_mock.h>
#include <sodium.h>

#define LIMIT_MS 20000

/* librdkafka's own broker in this process: it can be told to fail. One for all tests, each with a
 * topic of its own: taking one down can last a second. */
static rd_kafka_t *broker_client;
static rd_kafka_mock_cluster_t *cluster;

struct bench {
    struct scratch scratch;
    char path[512];
    struct outbox *outbox;
    struct kind heartbeat;
    struct shipper *shipper;
    char topic[32];
    struct fx_err err;
};

static void open_outbox(struct bench *bench)
{
    const struct outbox_options options = {
        .path = bench->path, .kind = "checkpoint", .keep_ms = DAY_MS};
    if (outbox_open(&options, &bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static void open_shipper(struct bench *bench)
{
    const struct shipper_options options = {
        .kafka = {.brokers = rd_kafka_mock_cluster_bootstraps(cluster),
                  .properties = {{"reconnect.backoff.ms=10", "reconnect.backoff.max.ms=50",
                                  "retry.backoff.ms=10"},
                                 3}},
        .topic = bench->topic,
        .heartbeat = kind_current(&bench->heartbeat),
        .outbox = bench->outbox,
        .heartbeat_ms = 300000,
        .partitions_ms = 20};
    if (shipper_open(&options, &bench->shipper, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static int start_broker(void **state)
{
    (void)state;
    char text[256];
    fx_log_open("shipper_test", FX_LOG_ERROR);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text);
    broker_client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cluster = rd_kafka_mock_cluster_new(broker_client, 1);
    return sodium_init() < 0 || cluster == NULL ? -1 : 0;
}

static int stop_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(broker_client);
    return 0;
}

static int set_up(void **state)
{
    static struct bench bench;
    static int topics;
    bench = (struct bench){0};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    snprintf(bench.topic, sizeof bench.topic, "t%d.checkpoint", topics++);
    if (rd_kafka_mock_topic_create(cluster, bench.topic, 4, 1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        schema_load_heartbeat(FX_SCHEMAS_DIR, &bench.heartbeat, &bench.err) != FX_OK)
        return -1;
    open_outbox(&bench);
    open_shipper(&bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    kind_release(&bench->heartbeat);
    scratch_close(&bench->scratch);
    return 0;
}

/* The message is the number itself, so that the reader need not decode. */
static void store(struct bench *bench, const char *source, int count)
{
    struct outbox_run *run = NULL;
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(outbox_take_run(bench->outbox, source, "4415", &run, &bench->err), FX_OK);
        int64_t seq = run->last_seq + 1;
        const struct outbox_event event = {(const uint8_t *)&seq, sizeof seq, 1, 1, NULL};
        assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    }
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
}

static void pump(struct bench *bench)
{
    if (shipper_pump(bench->shipper, INPUT_OPEN, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
    usleep(1000);
}

static void pump_until_done(struct bench *bench)
{
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    while (!shipper_is_done(bench->shipper)) {
        pump(bench);
        if (day_monotonic_ms() > limit_ms)
            fail_msg("not done: acked %lld of %lld", (long long)outbox_acked_id(bench->outbox),
                     (long long)outbox_last_id(bench->outbox));
    }
    assert_int_equal(outbox_flush(bench->outbox, 0, &bench->err), FX_OK);
}

#define NUMBERS_MAX 40000

struct arrived {
    int events;
    int beats;
    int unique;
    int out_of_order; /* an event that came behind a later one */
    int beats_before; /* heartbeats that came before the first event */
    uint8_t seen[NUMBERS_MAX + 1];
};

static void note_message(struct arrived *arrived, const rd_kafka_message_t *message,
                         int64_t *highest)
{
    if (message->len != sizeof(int64_t)) {
        arrived->beats++;
        arrived->beats_before += arrived->events == 0;
        return;
    }
    int64_t seq;
    memcpy(&seq, message->payload, sizeof seq);
    assert_in_range(seq, 1, NUMBERS_MAX);
    arrived->events++;
    arrived->unique += arrived->seen[seq] == 0;
    arrived->seen[seq] = 1;
    if (seq == *highest + 1)
        *highest = seq;
    else if (seq > *highest)
        arrived->out_of_order++;
}

/* Asking for the topic first spares half a second in which a consumer would wait to ask. */
static rd_kafka_topic_t *find_topic(rd_kafka_t *consumer, const char *name)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    assert_non_null(topic);
    assert_int_equal(rd_kafka_metadata(consumer, 0, topic, &metadata, LIMIT_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_metadata_destroy(metadata);
    return topic;
}

/* Everything that lies in the one partition of source. */
static void read_all(struct bench *bench, const char *source, struct arrived *arrived)
{
    char text[256];
    int64_t highest = 0;
    int32_t partition = wire_partition(source, strlen(source), 4);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), text,
                      sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof text);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(consumer);
    rd_kafka_topic_t *topic = find_topic(consumer, bench->topic);
    assert_int_equal(rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING), 0);
    memset(arrived, 0, sizeof *arrived);
    for (bool is_end = false; !is_end;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, LIMIT_MS);
        assert_non_null(message);
        is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            note_message(arrived, message, &highest);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, partition);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

static struct arrived arrived;

static void sends_everything_once(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 20000);
    pump_until_done(bench);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 20000);
    assert_int_equal(arrived.unique, 20000);
    assert_int_equal(arrived.beats, 2);
    assert_int_equal(arrived.beats_before, 1);
    struct outbox_counts counts;
    assert_int_equal(outbox_count(bench->outbox, &counts, &bench->err), FX_OK);
    assert_int_equal(counts.unsent, 0);
    assert_int_equal(counts.runs_open, 0);
}

/* A produce request fails for good: a new producer begins behind the watermark, in order. */
static void goes_back_after_a_failed_delivery(void **state)
{
    struct bench *bench = *state;
    struct shipper_counts counts;
    store(bench, "A", 3000);
    rd_kafka_mock_push_request_errors(cluster, 0, 2, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS);
    pump_until_done(bench);
    shipper_count(bench->shipper, &counts);
    assert_true(counts.opened > 1);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.unique, 3000);
    assert_int_equal(outbox_acked_id(bench->outbox), 3000);
}

static void waits_for_a_broker_that_is_away(void **state)
{
    struct bench *bench = *state;
    struct fx_err trouble = FX_ERR_INIT;
    rd_kafka_mock_broker_set_down(cluster, 1);
    store(bench, "A", 500);
    int64_t until_ms = day_monotonic_ms() + 400;
    while (day_monotonic_ms() < until_ms || shipper_trouble(bench->shipper, &trouble) == FX_OK)
        pump(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 0);
    assert_int_equal(trouble.code, FX_ERETRY);
    fx_err_clear(&trouble);
    store(bench, "A", 500);
    rd_kafka_mock_broker_set_up(cluster, 1);
    pump_until_done(bench);
    assert_int_equal(shipper_trouble(bench->shipper, &trouble), FX_OK);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.unique, 1000);
    assert_int_equal(arrived.out_of_order, 0);
}

/* What an earlier opening left unsent goes first, then ENDED for it, then OPEN for the new run. */
static void old_rows_go_first(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 100);
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    open_outbox(bench);
    open_shipper(bench);
    store(bench, "A", 50);
    bool is_end;
    struct outbox_run *old = outbox_run_at(bench->outbox, 0, &is_end);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 150);
    assert_int_equal(arrived.unique, 100);
    assert_int_equal(arrived.beats, 2);
    assert_int_equal(arrived.beats_before, 0);
    assert_true(old->is_ended);
    assert_int_equal(old->acked_seq, 100);
}

static void resends_what_is_asked_for(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 100);
    pump_until_done(bench);
    bool is_end;
    struct outbox_resend wanted = {
        .run = outbox_run_at(bench->outbox, 0, &is_end)->run, .first = 10, .last = 19};
    assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_OK);
    shipper_note_resend(bench->shipper);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 110);
    assert_int_equal(arrived.unique, 100);
    assert_int_equal(outbox_next_resend(bench->outbox, 0, &wanted, &bench->err), FX_OK);
    assert_int_equal(wanted.id, 0);
}

/* A post whose window is never empty: what is asked for ends all the same, range by range. */
static void resends_end_on_a_busy_post(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 200);
    pump_until_done(bench);
    bool is_end;
    int64_t run = outbox_run_at(bench->outbox, 0, &is_end)->run;
    int64_t waiting = 5;
    for (int64_t i = 0; i < waiting; i++) {
        struct outbox_resend wanted = {.run = run, .first = 30 * i + 1, .last = 30 * i + 20};
        assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_OK);
    }
    rd_kafka_mock_broker_set_rtt(cluster, 1, 200);
    store(bench, "A", 1);
    pump(bench);
    shipper_note_resend(bench->shipper);
    for (int lines = 0; waiting > 0; lines++) {
        if (lines == 400)
            fail_msg("%lld requests wait still", (long long)waiting);
        store(bench, "A", 1);
        pump(bench);
        usleep(20000);
        assert_true(outbox_acked_id(bench->outbox) < outbox_last_id(bench->outbox));
        assert_int_equal(outbox_count_resends(bench->outbox, &waiting, &bench->err), FX_OK);
    }
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.unique, outbox_last_id(bench->outbox));
    assert_int_equal(arrived.events, arrived.unique + 100);
}

/* After this opening's ENDED too: another one says what is not kept. */
static void what_is_asked_for_after_the_end_is_said(void **state)
{
    struct bench *bench = *state;
    struct outbox_obeyed obeyed;
    bool is_end;
    store(bench, "A", 10);
    pump_until_done(bench);
    struct outbox_run *run = outbox_run_at(bench->outbox, 0, &is_end);
    outbox_touch(bench->outbox, run);
    assert_int_equal(outbox_flush(bench->outbox, 2 * DAY_MS, &bench->err), FX_OK);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    assert_true(run->is_ended);
    const struct outbox_span span = {run->run, 3, 5};
    const struct outbox_request request = {"A", DAY_2020_MS, 1, &span, 1};
    assert_int_equal(outbox_obey(bench->outbox, &request, &obeyed, &bench->err), FX_OK);
    assert_int_equal(obeyed.gone, 1);
    shipper_note_resend(bench->shipper);
    pump_until_done(bench);
    struct outbox_run *owing = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &owing, &bench->err), FX_OK);
    assert_null(owing);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.beats, 3);
}

/* An ended run, forgotten by memory, and the present one say once more what they keep. */
static void what_is_owed_is_said(void **state)
{
    struct bench *bench = *state;
    struct outbox_obeyed obeyed;
    bool is_end;
    store(bench, "A", 10);
    pump_until_done(bench);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    int64_t run = outbox_run_at(bench->outbox, 0, &is_end)->run;
    assert_int_equal(outbox_flush(bench->outbox, 0, &bench->err), FX_OK);
    for (int round = 0; round < 2; round++) {
        shipper_close(bench->shipper);
        outbox_close(bench->outbox);
        open_outbox(bench);
        open_shipper(bench);
        if (round == 0) { /* what was acknowledged is given up */
            store(bench, "A", 1);
            pump_until_done(bench);
            outbox_touch(bench->outbox, outbox_run_at(bench->outbox, 0, &is_end));
            assert_int_equal(outbox_flush(bench->outbox, 2 * DAY_MS, &bench->err), FX_OK);
        }
    }
    store(bench, "A", 1);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    int beats = arrived.beats;
    const struct outbox_span span = {run, 3, 5};
    const struct outbox_request request = {"A", DAY_2020_MS, 1, &span, 1};
    assert_int_equal(outbox_obey(bench->outbox, &request, &obeyed, &bench->err), FX_OK);
    assert_int_equal(obeyed.gone, 1);
    shipper_note_resend(bench->shipper);
    assert_false(shipper_is_done(bench->shipper));
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.beats, beats + 2);
    struct outbox_run *owing = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &owing, &bench->err), FX_OK);
    assert_null(owing);
}

/* Looks at the number of partitions go on beside sending, and one that fails changes nothing. */
static void a_look_at_the_topic_that_fails_is_no_trouble(void **state)
{
    struct bench *bench = *state;
    struct fx_err trouble = FX_ERR_INIT;
    struct shipper_counts counts;
    store(bench, "A", 100);
    pump_until_done(bench);
    rd_kafka_mock_topic_set_error(cluster, bench->topic, RD_KAFKA_RESP_ERR_UNKNOWN);
    int64_t until_ms = day_monotonic_ms() + 200;
    while (day_monotonic_ms() < until_ms)
        pump(bench);
    rd_kafka_mock_topic_set_error(cluster, bench->topic, RD_KAFKA_RESP_ERR_NO_ERROR);
    store(bench, "A", 100);
    pump_until_done(bench);
    assert_int_equal(shipper_trouble(bench->shipper, &trouble), FX_OK);
    shipper_count(bench->shipper, &counts);
    assert_int_equal(counts.opened, 1);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 200);
    assert_int_equal(arrived.unique, 200);
}

static void a_property_that_is_wrong_is_told(void **state)
{
    struct bench *bench = *state;
    struct shipper *shipper = NULL;
    struct shipper_options options = {.kafka = {.brokers = "x:1", .properties = {{"acks"}, 1}},
                                      .topic = bench->topic,
                                      .heartbeat = kind_current(&bench->heartbeat),
                                      .outbox = bench->outbox,
                                      .heartbeat_ms = 1000};
    assert_int_equal(shipper_open(&options, &shipper, &bench->err), FX_ECONFIG);
    options.kafka.brokers = NULL;
    fx_err_clear(&bench->err);
    assert_int_equal(shipper_open(&options, &shipper, &bench->err), FX_ECONFIG);
    assert_holds(bench->err.text, "no Kafka brokers");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sends_everything_once),
                                       TEST(goes_back_after_a_failed_delivery),
                                       TEST(waits_for_a_broker_that_is_away),
                                       TEST(old_rows_go_first),
                                       TEST(resends_what_is_asked_for),
                                       TEST(resends_end_on_a_busy_post),
                                       TEST(what_is_asked_for_after_the_end_is_said),
                                       TEST(what_is_owed_is_said),
                                       TEST(a_property_that_is_wrong_is_told),
                                       TEST(a_look_at_the_topic_that_fails_is_no_trouble)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
