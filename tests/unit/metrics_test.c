/* SPDX-License-Identifier: Apache-2.0 */
/* What a scraper is answered over a real connection. */
#include "../../common/metrics.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct program {
    bool is_healthy;
    bool is_short; /* memory is, after a line */
    struct metrics *metrics;
    struct sockaddr_in address;
    char answer[4096];
};

/* A metrics_page_cb. */
static bool page(void *context, struct buf *out)
{
    const struct program *program = context;
    metrics_write(out, "fx_lines", "counter", "Lines.", 7);
    out->is_failed = program->is_short;
    metrics_write(out, "fx_bytes", "gauge", "Bytes.", 8);
    return program->is_healthy;
}

static int start(void **state)
{
    static struct program program;
    struct fx_err err = FX_ERR_INIT;
    socklen_t size = sizeof program.address;
    char listen[16];
    int file = socket(AF_INET, SOCK_STREAM, 0);
    program = (struct program){.is_healthy = true};
    program.address.sin_family = AF_INET;
    program.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(file, (struct sockaddr *)&program.address, size), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)&program.address, &size), 0);
    close(file); /* free for a moment */
    snprintf(listen, sizeof listen, "%d", ntohs(program.address.sin_port));
    assert_int_equal(metrics_open(listen, page, &program, &program.metrics, &err), FX_OK);
    *state = &program;
    return 0;
}

static int stop(void **state)
{
    metrics_close(((struct program *)*state)->metrics);
    return 0;
}

/* The status; the whole answer is in program->answer. */
static int get(struct program *program, const char *path)
{
    char request[128];
    size_t size = 0;
    int status = 0;
    int file = socket(AF_INET, SOCK_STREAM, 0);
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    assert_int_equal(connect(file, (struct sockaddr *)&program->address, sizeof program->address),
                     0);
    assert_int_equal(send(file, request, (size_t)length, MSG_NOSIGNAL), length);
    for (ssize_t got = 1; got > 0; size += (size_t)got) {
        got = recv(file, program->answer + size, sizeof program->answer - 1 - size, 0);
        assert_true(got >= 0);
    }
    close(file);
    program->answer[size] = '\0';
    assert_int_equal(sscanf(program->answer, "HTTP/%*d.%*d %d", &status), 1);
    return status;
}

static void a_page_is_whole(void **state)
{
    struct program *program = *state;
    assert_int_equal(get(program, "/metrics"), 200);
    assert_non_null(strstr(program->answer, "# TYPE fx_lines counter\nfx_lines 7\n"));
    assert_non_null(strstr(program->answer, "# TYPE fx_bytes gauge\nfx_bytes 8\n"));
    assert_int_equal(get(program, "/other"), 404);
    assert_non_null(strstr(program->answer, "GET /metrics or /healthz\n"));
}

/* Counters that stand in half a page would pass for ones that are gone. */
static void half_a_page_is_not_shown(void **state)
{
    struct program *program = *state;
    program->is_short = true;
    assert_int_equal(get(program, "/metrics"), 503);
    assert_null(strstr(program->answer, "fx_lines"));
    assert_int_equal(get(program, "/healthz"), 200);
}

static void health_is_the_programs(void **state)
{
    struct program *program = *state;
    assert_int_equal(get(program, "/healthz"), 200);
    assert_non_null(strstr(program->answer, "\r\n\r\nok\n"));
    program->is_healthy = false;
    assert_int_equal(get(program, "/healthz"), 503);
    assert_non_null(strstr(program->answer, "\r\n\r\nnot ok\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_is_whole, start, stop),
        cmocka_unit_test_setup_teardown(half_a_page_is_not_shown, start, stop),
        cmocka_unit_test_setup_teardown(health_is_the_programs, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
