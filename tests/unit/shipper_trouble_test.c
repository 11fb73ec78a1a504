/* SPDX-License-Identifier: Apache-2.0 */
/* What the shipper makes of brokers that fail, and of what it cannot have at present. */
#include "arrived.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

/* How many calls fail that make a producer, or a thread of ours. */
static int failing_handles;
static int failing_threads;

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t, rd_kafka_conf_t *, char *, size_t);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
                                size_t size)
{
    if (failing_handles == 0)
        return __real_rd_kafka_new(type, conf, text, size);
    snprintf(text, size, "planned");
    failing_handles--;
    return NULL;
}

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context)
{
    if (failing_threads == 0)
        return __real_pthread_create(thread, attributes, start, context);
    failing_threads--;
    return EAGAIN;
}

static struct arrived arrived;

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

/* A producer cannot be made anew for a while, nor a thread that asks for partitions: no trouble of
 * this comes out of a pump, and it goes on when there is room again. */
static void a_producer_is_made_when_it_can_be(void **state)
{
    struct bench *bench = *state;
    struct fx_err trouble = FX_ERR_INIT;
    store(bench, "A", 100);
    pump_until_done(bench);
    store(bench, "A", 100);
    rd_kafka_mock_push_request_errors(cluster, 0, 1, RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS);
    failing_handles = 2;
    failing_threads = 2;
    while (failing_handles > 0 || failing_threads > 0)
        pump(bench);
    assert_int_equal(shipper_trouble(bench->shipper, &trouble), FX_ERETRY);
    pump_until_done(bench);
    fx_err_clear(&trouble);
    assert_int_equal(shipper_trouble(bench->shipper, &trouble), FX_OK);
    failing_threads = 2; /* a look at the topic that cannot be had changes nothing */
    while (failing_threads > 0)
        pump(bench);
    assert_int_equal(shipper_trouble(bench->shipper, &trouble), FX_OK);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.unique, 200);
}

/* Writes behind the first page of a file fail, or none does. */
static void set_disk(bool is_full)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 4096 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A new run can get no partition on a full disk; the rows of a run that has one are sent. */
static void a_full_disk_holds_up_new_runs_only(void **state)
{
    struct bench *bench = *state;
    bool is_end;
    store(bench, "A", 1);
    pump_until_done(bench);
    store(bench, "A", 100);
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    open_outbox(bench);
    store(bench, "B", 10);
    assert_true(outbox_has_unassigned(bench->outbox));
    open_shipper(bench);
    set_disk(true);
    int64_t limit_ms = day_monotonic_ms() + LIMIT_MS;
    while (outbox_acked_id(bench->outbox) < 101 && day_monotonic_ms() < limit_ms) {
        enum fx_code code = shipper_pump(bench->shipper, INPUT_OPEN, &bench->err);
        assert_true(code == FX_OK || code == FX_EDISK);
        fx_err_clear(&bench->err);
        usleep(1000);
    }
    set_disk(false);
    assert_int_equal(outbox_acked_id(bench->outbox), 101);
    assert_int_equal(outbox_run_at(bench->outbox, 1, &is_end)->partition, -1);
    pump_until_done(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 111);
    read_all(bench, "B", &arrived);
    assert_int_equal(arrived.unique,
                     wire_partition("A", 1, 4) == wire_partition("B", 1, 4) ? 101 : 10);
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
    const struct CMUnitTest tests[] = {TEST(goes_back_after_a_failed_delivery),
                                       TEST(a_producer_is_made_when_it_can_be),
                                       TEST(a_full_disk_holds_up_new_runs_only),
                                       TEST(waits_for_a_broker_that_is_away),
                                       TEST(a_look_at_the_topic_that_fails_is_no_trouble),
                                       TEST(a_property_that_is_wrong_is_told)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
