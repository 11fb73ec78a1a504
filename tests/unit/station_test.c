/* SPDX-License-Identifier: Apache-2.0 */
#include "../../producers/rejects.h"
#include "../../producers/station_command.h"
#include "post_talk.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <sys/resource.h>

/* The run in an answer, 12 digits. */
static const char *run_of(const char *answer)
{
    static char run[13];
    const char *found = strstr(answer, "\"run\":\"");
    assert_non_null(found);
    memcpy(run, found + 7, 12);
    return run;
}

static void writers_are_answered_in_order(void **state)
{
    struct post *post = *state;
    int writers[2];
    bool seen[401] = {false};
    char id[32];
    post_spawn(post, POST);
    for (int w = 0; w < 2; w++)
        writers[w] = post_connect(post);
    for (int i = 0; i < 200; i++)
        for (int w = 0; w < 2; w++) {
            snprintf(id, sizeof id, ",\"id\":\"%d-%d\"", w, i);
            post_send(writers[w], good_line(id));
        }
    for (int w = 0; w < 2; w++) {
        long long last = 0;
        for (int i = 0; i < 200; i++) {
            const char *answer = post_answer(writers[w]);
            assert_holds(answer, "{\"ok\":true,\"run\":\"");
            long long seq = post_number(answer, "seq");
            assert_in_range(seq, last + 1, 400);
            assert_false(seen[seq]);
            seen[seq] = true;
            last = seq;
        }
        close(writers[w]);
    }
    assert_int_equal(post_stop(post, SIGTERM), 0);
}

/* In one batch, in a later one, and after a crash: whoever repeats a line gets its first number. */
static void a_repeated_id_keeps_its_number(void **state)
{
    struct post *post = *state;
    char first[POST_ANSWER_MAX];
    char lines[1024];
    post_spawn(post, POST);
    int writer = post_connect(post);
    snprintf(lines, sizeof lines, "%s%s", good_line(",\"id\":\"x\""), good_line(",\"id\":\"x\""));
    snprintf(first, sizeof first, "%s", post_ask(writer, lines));
    assert_string_equal(post_answer(writer), first);
    assert_string_equal(post_ask(writer, good_line(",\"id\":\"x\"")), first);
    assert_int_equal(post_number(post_ask(writer, good_line(",\"id\":\"y\"")), "seq"), 2);
    assert_int_equal(
        post_number(post_ask(writer, good_line(",\"id\":\"x\",\"source\":\"CP-2\"")), "seq"), 1);
    close(writer);
    assert_int_equal(post_stop(post, SIGKILL), 128 + SIGKILL);
    post_spawn(post, POST);
    writer = post_connect(post);
    assert_string_equal(post_ask(writer, good_line(",\"id\":\"x\"")), first);
    const char *fresh = post_ask(writer, good_line(",\"id\":\"z\""));
    assert_int_equal(post_number(fresh, "seq"), 1);
    assert_null(strstr(fresh, run_of(first)));
    assert_int_equal(post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "repeated"), 1);
    close(writer);
}

static void wrong_lines_are_answered_and_kept(void **state)
{
    struct post *post = *state;
    char args[256];
    static char text[70003];
    memset(text, 'x', sizeof text - 1);
    memcpy(text + sizeof text - 3, "\n\n", 3);
    snprintf(args, sizeof args, POST " --rejects %s/rejects", post->scratch.root);
    post_spawn(post, args);
    int writer = post_connect(post);
    const char *answer = post_ask(writer, "{\"direction\":\"UP\"}\n");
    assert_holds(answer, "{\"ok\":false,\"field\":\"direction\",\"reason\":\"'UP' is not one of");
    assert_holds(post_ask(writer, "no JSON\n"), "{\"ok\":false,\"reason\":\"the line is not JSON");
    assert_holds(post_ask(writer, text), "the line is longer than 65536 bytes");
    assert_holds(post_ask(writer, "{\"command\":\"dance\"}\n"), "there is no such command");
    assert_int_equal(post_number(post_ask(writer, good_line("")), "seq"), 1);
    /* Whoever has the answer may rely on the file, whatever becomes of the station. */
    post_stop(post, SIGKILL);
    const char *kept = post_read(post, "rejects");
    assert_holds(kept, "{\"line\":1,\"field\":\"direction\",\"reason\":\"'UP' is not one of");
    assert_holds(kept, "\"text\":\"{\\\"direction\\\":\\\"UP\\\"}\"}\n{\"line\":2,\"field\":\"\"");
    assert_holds(kept, "\n{\"line\":3,\"field\":\"\",\"reason\":\"the line is longer than 65536");
    close(writer);
}

static void a_batch_that_is_lost_is_answered(void **state)
{
    struct post *post = *state;
    char lines[1024];
    post_spawn(post, POST " --rejects /dev/full");
    int writer = post_connect(post);
    snprintf(lines, sizeof lines, "%s{\"direction\":\"UP\"}\n", good_line(""));
    assert_holds(post_ask(writer, lines), "{\"ok\":false,\"reason\":\"--rejects: No space left");
    assert_holds(post_answer(writer), "{\"ok\":false,\"reason\":\"--rejects: No space left");
    assert_holds(post_ask(writer, good_line("")), "{\"ok\":false,\"reason\":\"the outbox is full");
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 1);
}

static void lines_are_taken_only_where_asked_for(void **state)
{
    struct post *post = *state;
    char args[1024];
    scratch_write(&post->scratch, "lines", good_line(""));
    snprintf(args, sizeof args, "--follow %s --source CP-1 --region 441521115 %s",
             post->scratch.path, "--set post_type=VILLAGE");
    post_spawn(post, args);
    int writer = post_connect(post);
    assert_holds(post_ask(writer, good_line("")), "this station takes no lines here, see --socket");
    while (post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "stored") < 1)
        usleep(5000);
    close(writer);
}

/* It was empty when the station went, and had another name when it came again. */
static void a_file_that_was_begun_is_taken_first(void **state)
{
    struct post *post = *state;
    char args[1024];
    char path[512];
    char old[520];
    snprintf(path, sizeof path, "%s", scratch_write(&post->scratch, "lines", ""));
    snprintf(old, sizeof old, "%s.1", path);
    snprintf(args, sizeof args, "--follow %s --source CP-1 --region 441521115 %s", path,
             "--set post_type=VILLAGE");
    post_spawn(post, args);
    close(post_connect(post));
    post_stop(post, SIGKILL);
    scratch_write(&post->scratch, "lines", good_line(""));
    assert_int_equal(rename(path, old), 0);
    scratch_write(&post->scratch, "lines", good_line(""));
    post_spawn(post, args);
    int writer = post_connect(post);
    int64_t stored = 0;
    for (int i = 0; i < 2000 && stored < 2; i++) {
        stored = post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "stored");
        usleep(5000);
    }
    assert_int_equal(stored, 2);
    close(writer);
}

/* ---- commands ---- */

static void status_counts(void **state)
{
    struct post *post = *state;
    post_spawn(post, POST);
    int writer = post_connect(post);
    post_ask(writer, good_line(",\"id\":\"x\""));
    post_ask(writer, good_line(",\"id\":\"x\""));
    post_ask(writer, "{}\n");
    post_ask(writer, good_line(",\"source\":\"CP-2\""));
    const char *status = post_ask(writer, "{\"command\":\"status\"}\n");
    assert_holds(status, "{\"ok\":true,\"kind\":\"checkpoint\",\"kept\":2,\"unsent\":2,");
    assert_int_equal(post_number(status, "lines"), 4);
    assert_int_equal(post_number(status, "stored"), 2);
    assert_int_equal(post_number(status, "rejected"), 1);
    assert_int_equal(post_number(status, "repeated"), 1);
    assert_int_equal(post_number(status, "open_runs"), 2);
    assert_holds(status, "\"kafka\":\"not used\",\"runs\":[{\"source\":\"CP-1\"");
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 1);
    /* Nobody runs: the command opens the outbox itself. */
    post_spawn(post, "--status");
    assert_int_equal(post_wait(post), 0);
    assert_holds(post_read(post, "out"), "{\"ok\":true,\"kind\":\"checkpoint\",\"kept\":2,");
}

static const char *reverse(int writer, const char *run, int seq)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"command\":\"reverse\",\"source\":\"CP-1\",\"run\":\"%s\",\"seq\":%d,"
             "\"reason\":\"typed twice\"}\n",
             run, seq);
    return post_ask(writer, text);
}

static void an_event_is_reversed_once(void **state)
{
    struct post *post = *state;
    char run[13];
    char args[128];
    post_spawn(post, POST);
    int writer = post_connect(post);
    memcpy(run, run_of(post_ask(writer, good_line(""))), sizeof run);
    post_ask(writer, good_line(""));
    assert_int_equal(post_number(reverse(writer, run, 1), "seq"), 3);
    assert_holds(reverse(writer, run, 1), "that event was reversed before");
    assert_holds(reverse(writer, run, 3), "that event is itself a reversal");
    assert_holds(reverse(writer, run, 9), "does not keep that event");
    assert_holds(reverse(writer, "000000000001", 1), "does not keep that event");
    assert_int_equal(post_number(post_ask(writer, good_line("")), "seq"), 4);
    close(writer);
    post_stop(post, SIGKILL);
    snprintf(args, sizeof args, "--reverse CP-1:%s:1 --reason again -b 127.0.0.1:1", run);
    post_spawn(post, args);
    assert_int_equal(post_wait(post), 1);
    assert_holds(post_read(post, "out"), "that event was reversed before");
}

static void a_resend_says_how_many(void **state)
{
    struct post *post = *state;
    char run[13];
    char text[256];
    post_spawn(post, POST);
    int writer = post_connect(post);
    for (int i = 0; i < 5; i++)
        memcpy(run, run_of(post_ask(writer, good_line(""))), sizeof run);
    static const char *const format =
        "{\"command\":\"resend\",\"source\":\"%s\",\"run\":\"%s\",\"first\":2,\"last\":9}\n";
    snprintf(text, sizeof text, format, "CP-1", run);
    assert_string_equal(post_ask(writer, text), "{\"ok\":true,\"resent\":4}");
    snprintf(text, sizeof text, format, "CP-9", run);
    assert_holds(post_ask(writer, text), "{\"ok\":false,\"reason\":\"no run ");
    assert_holds(post_ask(writer, "{\"command\":\"resend\"}\n"), "wants source, run, first");
    close(writer);
}

static void check_typed(const char *text, const char *command)
{
    const struct station_options options = {.resend = text};
    struct fx_err err = FX_ERR_INIT;
    struct buf line = BUF_INIT;
    enum fx_code code = command_format(&options, &line, &err);
    assert_int_equal(code, command == NULL ? FX_ECONFIG : FX_OK);
    if (command == NULL)
        assert_holds(err.text, "--resend: ");
    else
        assert_string_equal(buf_text(&line), command);
    buf_release(&line);
}

/* As fx-setup reads them: a number that is cut, or taken for another, would resend something else.
 */
static void numbers_are_typed_in_one_form(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "CP-1:0123456789ab",
        "CP-1:0x0123456789:1",
        "CP-1:123456789ab:1",
        "CP-1:0123456789ag:1",
        "CP 1:0123456789ab:1",
        ":0123456789ab:1",
        "CP-1:0123456789ab:",
        "CP-1:0123456789ab: 7",
        "CP-1:0123456789ab:+7",
        "CP-1:0123456789ab:-7",
        "CP-1:0123456789ab:7-",
        "CP-1:0123456789ab:7- 9",
        "CP-1:0123456789ab:9-7",
        "CP-1:0123456789ab:0",
        "CP-1:0123456789ab:7:9",
        "CP-1:\t123456789ab:1",
        "CP-1:0123456789ab:9223372036854775808",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        check_typed(wrong[i], NULL);
    check_typed("CP-1:0123456789AB:7-12", "{\"command\":\"resend\",\"source\":\"CP-1\","
                                          "\"run\":\"0123456789ab\",\"first\":7,\"last\":12}\n");
    check_typed("CP-1:000000000000:7", "{\"command\":\"resend\",\"source\":\"CP-1\","
                                       "\"run\":\"000000000000\",\"first\":7,\"last\":7}\n");
}

/* ---- a full disk ---- */

static void rejects_need_a_disk(void **state)
{
    (void)state;
    struct rejects rejects;
    struct fx_err err = FX_ERR_INIT;
    const struct reject reject = {1, "", "wrong", "x", 1};
    assert_int_equal(rejects_open(&rejects, "/dev/full", &err), FX_OK);
    for (int i = 0; i < 2; i++) {
        rejects_add(&rejects, &reject);
        assert_int_equal(rejects_sync(&rejects, &err), FX_EDISK);
        assert_holds(err.text, "--rejects: No space left");
        fx_err_clear(&err);
        rejects_drop(&rejects);
        assert_int_equal(rejects_sync(&rejects, &err), FX_OK);
    }
    rejects_close(&rejects);
    assert_int_equal(rejects_open(&rejects, "/nowhere/x", &err), FX_EDISK);
    fx_err_clear(&err);
    assert_int_equal(rejects_open(&rejects, NULL, &err), FX_OK);
    rejects_add(&rejects, &reject);
    assert_int_equal(rejects_sync(&rejects, &err), FX_OK);
    rejects_close(&rejects);
}

/* What the process may write to a file: nothing behind its first page, or all. */
static void set_disk(const struct post *post, bool is_full)
{
    struct rlimit limit;
    assert_int_equal(prlimit(post->pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = is_full ? 4096 : limit.rlim_max;
    assert_int_equal(prlimit(post->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void wait_for_acknowledgements(int writer)
{
    for (int waited = 0; waited < POST_WAIT_MS; waited += 5) {
        if (post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "unsent") == 0)
            return;
        usleep(5000);
    }
    fail_msg("Kafka acknowledges nothing");
}

/* Acknowledgements come in that cannot be written down; the daemon goes on, and so do they. */
static void run_on_a_full_disk(struct post *post, rd_kafka_mock_cluster_t *cluster)
{
    char args[256];
    snprintf(args, sizeof args, POST " --drain-s 0 -X reconnect.backoff.max.ms=100 -b %s",
             rd_kafka_mock_cluster_bootstraps(cluster));
    post_spawn(post, args);
    int writer = post_connect(post);
    post_ask(writer, good_line(""));
    wait_for_acknowledgements(writer);
    rd_kafka_mock_broker_set_down(cluster, 1);
    for (int i = 1; i < 20; i++)
        assert_holds(post_ask(writer, good_line("")), "\"ok\":true");
    set_disk(post, true);
    rd_kafka_mock_broker_set_up(cluster, 1);
    wait_for_acknowledgements(writer);
    assert_holds(post_ask(writer, good_line("")), "{\"ok\":false,\"reason\":\"");
    usleep(700000); /* longer than acknowledgements wait to be written */
    assert_holds(post_ask(writer, good_line("")), "{\"ok\":false,\"reason\":\"the outbox is full");
    set_disk(post, false);
    const char *answer = post_ask(writer, good_line(""));
    for (int i = 0; i < 1000 && strstr(answer, "\"ok\":true") == NULL; i++) {
        usleep(5000);
        answer = post_ask(writer, good_line(""));
    }
    assert_int_equal(post_number(answer, "seq"), 21);
    wait_for_acknowledgements(writer);
    close(writer);
}

static void a_daemon_outlives_a_full_disk(void **state)
{
    struct post *post = *state;
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, 1);
    assert_non_null(cluster);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, "fangxian.checkpoint", 4, 1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    run_on_a_full_disk(post, cluster);
    assert_int_equal(post_stop(post, SIGTERM), 1);
    post_spawn(post, "--status");
    assert_int_equal(post_wait(post), 0);
    assert_holds(post_read(post, "out"), "\"kept\":21,\"unsent\":0,");
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, post_set_up, post_tear_down)

int main(int argc, char **argv)
{
    int status = 0;
    if (post_is_station(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {TEST(writers_are_answered_in_order),
                                       TEST(a_repeated_id_keeps_its_number),
                                       TEST(wrong_lines_are_answered_and_kept),
                                       TEST(a_batch_that_is_lost_is_answered),
                                       TEST(lines_are_taken_only_where_asked_for),
                                       TEST(a_file_that_was_begun_is_taken_first),
                                       TEST(status_counts),
                                       TEST(an_event_is_reversed_once),
                                       TEST(a_resend_says_how_many),
                                       cmocka_unit_test(numbers_are_typed_in_one_form),
                                       cmocka_unit_test(rejects_need_a_disk),
                                       TEST(a_daemon_outlives_a_full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
