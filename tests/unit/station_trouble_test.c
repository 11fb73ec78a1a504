/* SPDX-License-Identifier: Apache-2.0 */
/* A station that stops, and one whose disk is full, while writers go on. */
#include "../../common/day.h"
#include "post_talk.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <sqlite3.h>
#include <sys/resource.h>

#define WRONG "{\"direction\":\"UP\"}\n"
#define STATUS "{\"command\":\"status\"}\n"

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
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    return post_set_up(state);
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

/* What the process may write to a file: nothing behind its first page, or all. */
static void set_disk(const struct post *post, bool is_full)
{
    struct rlimit limit;
    assert_int_equal(prlimit(post->pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = is_full ? 4096 : limit.rlim_max;
    assert_int_equal(prlimit(post->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

/* What the row of the only run says that tells the city of refused lines. */
static int64_t read_refused(const struct post *post)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(post->outbox, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT refused FROM run", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t refused = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return refused;
}

/* It is tried with little, not with the next batch of lines; and each refused line is told. */
static void a_full_disk_loses_one_batch(void **state)
{
    struct post *post = *state;
    char lines[512];
    post_spawn(post, POST);
    int writer = post_connect(post);
    for (int i = 0; i < 3; i++)
        assert_holds(post_ask(writer, LINE), "\"ok\":true");
    set_disk(post, true);
    snprintf(lines, sizeof lines, LINE WRONG LINE);
    post_send(writer, lines);
    for (int i = 0; i < 3; i++)
        assert_holds(post_answer(writer), "{\"ok\":false,\"reason\":\"");
    int64_t refused = 3;
    int64_t until_ms = day_monotonic_ms() + 2500;
    for (; day_monotonic_ms() < until_ms; refused++) {
        assert_holds(post_ask(writer, LINE), "{\"ok\":false,\"reason\":\"the outbox is full\"}");
        usleep(20000);
    }
    post_send(writer, "\n");
    const char *status = post_ask(writer, STATUS);
    assert_int_equal(post_number(status, "refused"), refused);
    assert_int_equal(post_number(status, "lines"), 3);
    assert_int_equal(post_number(status, "stored"), 3);
    assert_int_equal(post_number(status, "rejected"), 0);
    set_disk(post, false);
    for (; strstr(post_ask(writer, LINE), "\"ok\":true") == NULL; refused++)
        usleep(20000);
    assert_int_equal(post_number(post_ask(writer, STATUS), "refused"), refused);
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 1);
    assert_int_equal(read_refused(post), refused);
}

/* The next process begins on such a disk, or on one like ours. */
static void set_next_disk(bool is_full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_full ? 4096 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What an earlier start left is sent, which makes room; lines are taken when there is some. */
static void a_daemon_starts_on_a_full_disk(void **state)
{
    struct post *post = *state;
    spawn(post);
    int writer = post_connect(post);
    assert_holds(post_ask(writer, LINE), "\"ok\":true");
    while (post_number(post_ask(writer, STATUS), "unsent") > 0)
        usleep(5000);
    rd_kafka_mock_broker_set_down(cluster, 1);
    for (int i = 0; i < 5; i++)
        assert_holds(post_ask(writer, LINE), "\"ok\":true");
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 0);
    rd_kafka_mock_broker_set_up(cluster, 1);
    set_next_disk(true);
    spawn(post);
    set_next_disk(false);
    writer = post_connect(post);
    assert_holds(post_ask(writer, LINE), "{\"ok\":false,\"reason\":\"the outbox is full\"}");
    for (int i = 0; post_number(post_ask(writer, STATUS), "unsent") > 0; i++) {
        assert_true(i < 1000);
        usleep(5000);
    }
    set_disk(post, false);
    while (strstr(post_ask(writer, LINE), "\"ok\":true") == NULL)
        usleep(20000);
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 1);
}

/* However often the batch is lost that it is in, a wrong line of a file is one. */
static void a_wrong_line_is_counted_once(void **state)
{
    struct post *post = *state;
    char args[1024];
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_write(&post->scratch, "lines", LINE LINE LINE));
    snprintf(args, sizeof args, "%s --follow %s --rejects %s/rejects", POST, path,
             post->scratch.root);
    post_spawn(post, args);
    int writer = post_connect(post);
    while (post_number(post_ask(writer, STATUS), "stored") < 3)
        usleep(5000);
    set_disk(post, true);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs(WRONG LINE, file);
    assert_int_equal(fclose(file), 0);
    usleep(3500000);
    assert_int_equal(post_number(post_ask(writer, STATUS), "rejected"), 0);
    set_disk(post, false);
    while (post_number(post_ask(writer, STATUS), "stored") < 4)
        usleep(20000);
    assert_int_equal(post_number(post_ask(writer, STATUS), "rejected"), 1);
    assert_int_equal(post_number(post_ask(writer, STATUS), "refused"), 0);
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 1);
    assert_int_equal(read_refused(post), 1);
    const char *kept = post_read(post, "rejects");
    assert_true(strlen(kept) > 0 && strlen(kept) < 3 * strcspn(kept, "\n"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, post_tear_down)

int main(int argc, char **argv)
{
    int status = 0;
    if (post_is_station(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {
        TEST(a_station_that_stops_takes_no_line), TEST(a_full_disk_loses_one_batch),
        TEST(a_daemon_starts_on_a_full_disk), TEST(a_wrong_line_is_counted_once)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
