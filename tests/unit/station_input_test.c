/* SPDX-License-Identifier: Apache-2.0 */
/* What a station does with a followed file that it cannot have just now. */
#include "post_talk.h"

#include <sys/resource.h>

static void set_limit(const struct post *post, int resource, rlim_t value)
{
    struct rlimit limit;
    assert_int_equal(prlimit(post->pid, resource, NULL, &limit), 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    assert_int_equal(prlimit(post->pid, resource, &limit, NULL), 0);
}

/* Adds a line to the followed file. */
static void add_line(const char *path)
{
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    fputs(LINE, file);
    assert_int_equal(fclose(file), 0);
}

static void wait_for_stored(int writer, long long count)
{
    long long stored = 0;
    for (int waited = 0; waited < POST_WAIT_MS && stored < count; waited += 5) {
        stored = post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "stored");
        usleep(5000);
    }
    assert_int_equal(stored, count);
}

static void wait_for_word(const struct post *post, int writer, const char *word)
{
    for (int waited = 0; waited < POST_WAIT_MS; waited += 5) {
        if (strstr(post_ask(writer, LINE), word) != NULL)
            return;
        usleep(5000);
    }
    fail_msg("process %d never says %s", (int)post->pid, word);
}

/* The disk is full, and when the lines that were lost are to be read again, their file cannot be
 * opened. Lines of the socket go on as soon as there is room; the position is not moved by them. */
static void outlives_a_file_that_cannot_be_opened_again(void **state)
{
    struct post *post = *state;
    char path[512];
    char args[1024];
    snprintf(path, sizeof path, "%s", scratch_write(&post->scratch, "lines", LINE));
    snprintf(args, sizeof args, "--follow %s --socket --source CP-1 --region 441521115 %s", path,
             "--set post_type=VILLAGE");
    post_spawn(post, args);
    int writer = post_connect(post);
    wait_for_stored(writer, 1);
    set_limit(post, RLIMIT_NOFILE, 4);
    set_limit(post, RLIMIT_FSIZE, 4096);
    add_line(path);
    add_line(path);
    wait_for_word(post, writer, "\"ok\":false,\"reason\":\"the outbox is full");
    set_limit(post, RLIMIT_FSIZE, RLIM_INFINITY);
    wait_for_word(post, writer, "\"ok\":true");
    wait_for_stored(writer, 2);
    set_limit(post, RLIMIT_NOFILE, RLIM_INFINITY);
    wait_for_stored(writer, 4);
    close(writer);
    post_stop(post, SIGKILL);
    post_spawn(post, args);
    writer = post_connect(post);
    add_line(path);
    wait_for_stored(writer, 1);
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, post_set_up, post_tear_down)

int main(int argc, char **argv)
{
    int status = 0;
    if (post_is_station(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {TEST(outlives_a_file_that_cannot_be_opened_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
