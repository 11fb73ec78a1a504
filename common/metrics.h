/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics - a Prometheus endpoint: GET /metrics, GET /healthz.
 *
 * Text exposition format 0.0.4. The program hands over one callback that writes all its lines
 * with metrics_write; it runs on the server's thread, so it reads only what may be read from
 * there. Listens on the address given, loopback by default. A page that memory ran out for is
 * answered with 503, never shown in part.
 */
#ifndef FX_METRICS_H
#define FX_METRICS_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct metrics;

/* Appends the page to out; returns whether the program is healthy (for /healthz). */
typedef bool metrics_page_cb(void *context, struct buf *out);

/* Serves on "port" or "address:port". FX_ECONFIG: not such a text, or the port is taken. */
FX_MUST_CHECK enum fx_code metrics_open(const char *listen, metrics_page_cb *page, void *context,
                                        struct metrics **metrics, struct fx_err *err);
void metrics_close(struct metrics *metrics);

/* "# HELP", "# TYPE" and one sample; type is "counter" or "gauge". */
void metrics_write(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t value);

#endif
