/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
    struct MHD_Daemon *daemon;
    metrics_page_cb *page;
    void *context;
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned int status,
                               const char *type, struct buf *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->size, body->data == NULL ? (uint8_t[1]){0} : body->data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* The signature is libmicrohttpd's. */
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)state;
    struct metrics *metrics = context;
    struct buf body = BUF_INIT;
    bool is_page = strcmp(url, "/metrics") == 0;
    bool is_health = strcmp(url, "/healthz") == 0;
    unsigned int status = MHD_HTTP_OK;
    if (strcmp(method, "GET") != 0 || !(is_page || is_health)) {
        buf_append_text(&body, "GET /metrics or /healthz\n");
        status = MHD_HTTP_NOT_FOUND;
    } else {
        bool is_healthy = metrics->page(metrics->context, &body);
        if (is_health) {
            buf_reset(&body);
            buf_append_text(&body, is_healthy ? "ok\n" : "not ok\n");
            status = is_healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
        }
    }
    if (body.is_failed) { /* half a page would pass for counters that are gone */
        buf_reset(&body);
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    enum MHD_Result result =
        respond(connection, status, "text/plain; version=0.0.4; charset=utf-8", &body);
    buf_release(&body);
    return result;
}

static enum fx_code parse_listen(const char *listen, struct sockaddr_in *address,
                                 struct fx_err *err)
{
    char host[64] = "127.0.0.1";
    const char *colon = strrchr(listen, ':');
    const char *port_text = colon == NULL ? listen : colon + 1;
    if (colon != NULL && (size_t)(colon - listen) < sizeof host) {
        memcpy(host, listen, (size_t)(colon - listen));
        host[colon - listen] = '\0';
    }
    char *end;
    long port = strtol(port_text, &end, 10);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    if (end == port_text || *end != '\0' || port < 1 || port > 65535 ||
        inet_pton(AF_INET, host, &address->sin_addr) != 1)
        return fx_err_set(err, FX_ECONFIG, "'%.60s' is not a port or an IPv4 address:port", listen);
    address->sin_port = htons((uint16_t)port);
    return FX_OK;
}

enum fx_code metrics_open(const char *listen, metrics_page_cb *page, void *context,
                          struct metrics **metrics, struct fx_err *err)
{
    struct sockaddr_in address;
    if (parse_listen(listen, &address, err) != FX_OK)
        return fx_err_wrap(err, "metrics");
    struct metrics *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for metrics");
    fresh->page = page;
    fresh->context = context;
    fresh->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, fresh,
                                     MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                                     MHD_OPTION_CONNECTION_LIMIT, 16U,
                                     MHD_OPTION_CONNECTION_TIMEOUT, 10U, MHD_OPTION_END);
    if (fresh->daemon == NULL) {
        free(fresh);
        return fx_err_set(err, FX_ECONFIG, "metrics: cannot listen on %s (is the port taken?)",
                          listen);
    }
    *metrics = fresh;
    return FX_OK;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    MHD_stop_daemon(metrics->daemon);
    free(metrics);
}

void metrics_write(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t value)
{
    buf_append_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type,
                      name, value);
}
