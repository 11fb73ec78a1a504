/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post_talk - what a writer does at a post's socket: lines out, answers in.
 *
 * Whatever does not come within POST_WAIT_MS fails the test.
 */
#ifndef FX_POST_TALK_H
#define FX_POST_TALK_H

#include "post.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define POST_WAIT_MS 5000
#define POST_ANSWER_MAX 4096

/* A connection to the station, once it listens. */
static inline int post_connect(const struct post *post)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s.sock", post->outbox);
    for (int waited = 0; waited < POST_WAIT_MS; waited += 5) {
        int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(file >= 0);
        if (connect(file, (const struct sockaddr *)&address, sizeof address) == 0)
            return file;
        close(file);
        usleep(5000);
    }
    fail_msg("nobody listens at %s", address.sun_path);
    return -1;
}

static inline void post_send(int file, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(file, text, size, MSG_NOSIGNAL), size);
}

/* The next answer, without its newline, borrowed until the next call. */
static inline const char *post_answer(int file)
{
    static char line[POST_ANSWER_MAX];
    for (size_t size = 0; size < sizeof line; size++) {
        struct pollfd poller = {.fd = file, .events = POLLIN};
        if (poll(&poller, 1, POST_WAIT_MS) != 1 || recv(file, line + size, 1, 0) != 1)
            fail_msg("no answer");
        if (line[size] == '\n') {
            line[size] = '\0';
            return line;
        }
    }
    fail_msg("the answer has no end");
    return NULL;
}

static inline const char *post_ask(int file, const char *text)
{
    post_send(file, text);
    return post_answer(file);
}

/* The whole number behind "name": in an answer. */
static inline long long post_number(const char *answer, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = strstr(answer, key);
    if (found == NULL)
        fail_msg("no %s in %s", name, answer);
    return strtoll(found + strlen(key), NULL, 10);
}

/* ---- a checkpoint's station, with a socket ---- */

#define GOOD                                                                                       \
    "\"direction\":\"IN\",\"vehicle\":\"CAR\",\"plate_scope\":\"IN_PROVINCE\",\"persons\":1,"      \
    "\"passed\":1"
#define LINE "{" GOOD "}\n"
#define POST "--socket --source CP-1 --region 441521115 --set post_type=VILLAGE"

/* post_main of such a station. */
static inline bool post_is_station(int argc, char **argv, int *status)
{
    static const struct dialect dialect = {
        .program = "fx-station-test", .kind = "checkpoint", .summary = "a station of a test"};
    return post_main(&dialect, argc, argv, status);
}

/* A good line with more keys, with newline. */
static inline const char *good_line(const char *more)
{
    static char text[512];
    snprintf(text, sizeof text, "{" GOOD "%s}\n", more);
    return text;
}

static inline int post_set_up(void **state)
{
    static struct post post;
    post_init(&post);
    *state = &post;
    return 0;
}

static inline int post_tear_down(void **state)
{
    post_release(*state);
    return 0;
}

#endif
