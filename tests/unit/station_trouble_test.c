/* SPDX-License-Identifier: Apache-2.0 */
/* A station that stops, and one whose disk is full, while writers go on. */
#include "../../common/day.h"
#include "post_talk.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define LINE                                                                                       \
    "{\"direction\":\"IN\",\"vehicle\":\"CAR\",\"plate_scope\":\"IN_PROVINCE\",\"persons\":1,"     \
    "\"passed\":1}\n"
#define STATUS "{\"command\":\"status\"}\n"
#define POST "--socket --source CP-1 --region 441521115 --set post_type=VILLAGE"

static rd_kafka_t *client;
static rd_kafka_mock_cluster_t *cluster;

static int start_broker(void **state)
{
    (void)state;
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cluster = rd_kafka_mock_cluster_new(client, 1);
    return rd_kafka_mock_topic_create(cluster, "fangxian.checkpoint", 4, 1);
}

static int stop_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}

static int set_up(void **state)
{
    static struct post post;
    post_init(&post);
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    *state = &post;
    return 0;
}

static int tear_down(void **state)
{
    post_release(*state);
    return 0;
}

static void spawn(struct post *post)
{
    char args[256];
    snprintf(args, sizeof args, POST " --ignore-resend -b %s",
             rd_kafka_mock_cluster_bootstraps(cluster));
    post_spawn(post, args);
}

/* Writers that never stop do not hold the end up, and no number comes behind its run's ENDED. */
static void a_station_that_stops_takes_no_line(void **state)
{
    struct post *post = *state;
    post->drains = true;
    spawn(post);
    int writer = post_connect(post);
    assert_holds(post_ask(writer, LINE), "\"ok\":true");
    while (post_number(post_ask(writer, STATUS), "unsent") > 0)
        usleep(5000);
    rd_kafka_mock_broker_set_rtt(cluster, 1, 500);
    assert_holds(post_ask(writer, LINE), "\"ok\":true");
    assert_int_equal(kill(post->pid, SIGTERM), 0);
    const char *answer = post_ask(writer, LINE);
    for (int i = 0; i < 40 && strstr(answer, "\"ok\":true") != NULL; i++) {
        usleep(5000);
        answer = post_ask(writer, LINE);
    }
    assert_holds(answer, "{\"ok\":false,\"reason\":\"the station is stopping\"}");
    assert_holds(post_ask(writer, "{\"command\":\"reverse\",\"source\":\"CP-1\",\"run\":"
                                  "\"000000000001\",\"seq\":1,\"reason\":\"typed twice\"}\n"),
                 "the station is stopping");
    assert_int_equal(post_number(post_ask(writer, STATUS), "refused"), 0);
    assert_int_equal(post_wait(post), 0);
    close(writer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    static const struct dialect dialect = {
        .program = "fx-station-test", .kind = "checkpoint", .summary = "a station of a test"};
    int status = 0;
    if (post_main(&dialect, argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {TEST(a_station_that_stops_takes_no_line)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
