/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station_options - what a producer can be told.
 */
#ifndef FX_STATION_OPTIONS_H
#define FX_STATION_OPTIONS_H

#include "../common/args.h"
#include "../common/kafka.h"
#include "station.h"

struct station_options {
    struct kafka_options kafka;
    const char *topic_prefix;
    const char *schemas;
    const char *outbox; /* NULL: state/KIND.db */
    const char *state;  /* directory of outboxes; NULL: ~/.local/state/fangxian */
    const char *source;
    const char *region;
    struct fx_list set;
    const char *follow;
    bool socket;             /* take lines from the socket */
    const char *socket_path; /* NULL: beside the outbox */
    bool answers;
    const char *rejects;
    bool dry_run;
    bool status;
    const char *resend;
    const char *reverse;
    const char *reason;
    int64_t group_lines;
    int64_t group_ms;
    int64_t heartbeat_s;
    int64_t outbox_max_bytes;
    int64_t keep_days;
    bool ignore_resend;
    const char *log_level;
    bool no_drain;
    int64_t drain_s; /* -1: as the input demands */
    bool simulate;
    int64_t events;
    int64_t sources;
    int64_t from_ms;
    int64_t to_ms;
    int64_t seed;
    int64_t rate;
    const char *write_sources;
    const char *kind;       /* out: the dialect's, or the operand */
    char outbox_path[1024]; /* out */
};

/* Fills options; argv->is_done: --help or --version was answered. FX_ECONFIG, FX_EDISK. */
FX_MUST_CHECK enum fx_code station_options_parse(const struct dialect *dialect,
                                                 struct fx_argv *argv,
                                                 struct station_options *options,
                                                 struct fx_err *err);

#define STATION_SOCKET_PATH_MAX 1040

/* Where the station listens: --socket-path, or OUTBOX.sock. */
void station_socket_path(const struct station_options *options, char out[STATION_SOCKET_PATH_MAX]);

/* Runs until SIGTERM, rather than to the end of an input. */
bool station_is_daemon(const struct station_options *options);

#endif
