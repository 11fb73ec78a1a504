/* SPDX-License-Identifier: Apache-2.0 */
#include "station.h"

#include "../common/day.h"
#include "../common/log.h"
#include "lines.h"
#include "station_command.h"
#include "station_core.h"
#include "station_input.h"
#include "station_socket.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRY_CHUNK 65536
#define PARTITIONS_MS 120000
#define RESEND "resend" /* PREFIX.resend: what the city asks for */

static enum fx_code open_record(struct station *station, struct fx_err *err)
{
    const struct station_options *options = station->options;
    const struct record_options wanted = {.kind = &station->kind,
                                          .source = options->source,
                                          .region = options->region,
                                          .set = &options->set,
                                          .complete = station->dialect->complete};
    if (kind_load(options->schemas, options->kind, &station->kind, err) != FX_OK)
        return err->code;
    return record_open(&wanted, &station->record, err);
}

static enum fx_code open_outbox(struct station *station, struct fx_err *err)
{
    const struct station_options *options = station->options;
    const struct outbox_options wanted = {.path = options->outbox_path,
                                          .kind = station->kind.name,
                                          .bytes_max = options->outbox_max_bytes,
                                          .keep_ms = options->keep_days * DAY_MS};
    if (rejects_open(&station->rejects, options->rejects, err) != FX_OK)
        return err->code;
    return outbox_open(&wanted, &station->outbox, err);
}

/* Without brokers a station can only store: allowed where it was told not to wait for sending. */
static enum fx_code open_shipper(struct station *station, struct fx_err *err)
{
    const struct station_options *options = station->options;
    const char *brokers = options->kafka.brokers;
    if ((brokers == NULL || brokers[0] == '\0') && (options->no_drain || options->status))
        return FX_OK;
    if (schema_load_heartbeat(options->schemas, &station->heartbeat, err) != FX_OK)
        return err->code;
    const struct shipper_options wanted = {.kafka = options->kafka,
                                           .topic = station->topic,
                                           .heartbeat = kind_current(&station->heartbeat),
                                           .outbox = station->outbox,
                                           .heartbeat_ms = options->heartbeat_s * 1000,
                                           .partitions_ms = PARTITIONS_MS};
    return shipper_open(&wanted, &station->shipper, err);
}

/* Only beside input: a command sends what it is told to. A post works without it. */
static void open_asked(struct station *station)
{
    const struct station_options *options = station->options;
    const struct asked_options wanted = {.kafka = options->kafka,
                                         .topic = station->resend_topic,
                                         .own_topic = station->topic,
                                         .outbox = station->outbox};
    struct fx_err failed = FX_ERR_INIT;
    if (station->shipper == NULL || options->ignore_resend)
        return;
    if (asked_open(&wanted, &station->asked, &failed) != FX_OK)
        fx_log_err("resend_requests_off", &failed);
}

static enum fx_code open_all(struct station *station, struct fx_err *err)
{
    const struct station_options *options = station->options;
    size_t room = KAFKA_TOPIC_MAX - strlen(RESEND) - 2;
    if (strlen(options->topic_prefix) > room ||
        strlen(options->topic_prefix) + strlen(options->kind) + 2 > KAFKA_TOPIC_MAX)
        return fx_err_set(err, FX_ECONFIG, "--topic-prefix is too long");
    kafka_topic_name(station->topic, options->topic_prefix, options->kind);
    kafka_topic_name(station->resend_topic, options->topic_prefix, RESEND);
    enum fx_code code = open_record(station, err);
    if (code == FX_OK)
        code = open_outbox(station, err);
    return code == FX_OK ? open_shipper(station, err) : code;
}

static void close_all(struct station *station)
{
    asked_close(station->asked);
    shipper_close(station->shipper);
    outbox_close(station->outbox);
    record_close(station->record);
    kind_release(&station->kind);
    kind_release(&station->heartbeat);
    rejects_close(&station->rejects);
}

/* ---- --dry-run ---- */

/* err: FX_EMEMORY if not all of it could be printed. */
static void print_dry(struct station *station, enum fx_code code, struct fx_err *err)
{
    struct answers answers = {.out = BUF_INIT};
    if (code == FX_OK) {
        event_append_json(&station->line.event, &answers.out);
        buf_append_byte(&answers.out, '\n');
        station->counts.stored++;
    } else {
        answer_refusal(&answers, station->line.field, record_reason(&station->line, err));
        fx_log(FX_LOG_WARN, "line_rejected", "line=%lld field=%s", (long long)station->counts.lines,
               station->line.is_field_known ? station->line.field : "unknown");
        station->counts.rejected++;
        fx_err_clear(err);
    }
    fwrite(answers.out.data, 1, answers.out.size, stdout);
    (void)(buf_check(&answers.out, err) == FX_OK);
    buf_release(&answers.out);
}

/* An input_line_cb with a struct station as its context. */
static enum fx_code check_line(void *context, const char *text, size_t size, struct fx_err *err)
{
    struct station *station = context;
    station->counts.lines++;
    station->line.now_ms = day_now_ms();
    enum fx_code code = record_read(station->record, text, size, &station->line, err);
    if (code == FX_OK || code == FX_EINPUT)
        print_dry(station, code, err);
    return err->code;
}

/* The next line of a stream that may wait; LINES_NONE at its end. */
static enum fx_code next_line(struct lines *lines, enum lines_found *found, const char **text,
                              size_t *size, struct fx_err *err)
{
    long count = 1;
    while ((*found = lines_next(lines, text, size)) == LINES_NONE && count > 0)
        if (lines_read(lines, STDIN_FILENO, &count, err) != FX_OK)
            return err->code;
    if (*found == LINES_NONE)
        *found = lines_last(lines, text, size);
    return FX_OK;
}

static enum fx_code dry_run(struct station *station, struct fx_err *err)
{
    struct lines lines;
    enum fx_code code = open_record(station, err);
    lines_init(&lines, DRY_CHUNK);
    while (code == FX_OK && !station->options->simulate) {
        enum lines_found found;
        const char *text = NULL;
        size_t size = LINES_MAX + 1; /* record_read refuses a line that is too long */
        code = next_line(&lines, &found, &text, &size, err);
        if (code != FX_OK || found == LINES_NONE)
            break;
        if (found == LINES_TOO_LONG)
            size = LINES_MAX + 1;
        code = check_line(station, text, size, err);
    }
    if (code == FX_OK && station->options->simulate)
        code = input_each_simulated(station->options, check_line, station, err);
    lines_release(&lines);
    return code;
}

/* ---- commands ---- */

static bool is_command(const struct station_options *options)
{
    return options->status || options->resend != NULL || options->reverse != NULL;
}

static enum fx_code command_here(struct station *station, const struct buf *line,
                                 struct answers *answers, struct fx_err *err)
{
    if (access(station->options->outbox_path, F_OK) != 0)
        return fx_err_set(err, FX_ECONFIG, "there is no outbox %s", station->options->outbox_path);
    enum fx_code code = open_all(station, err);
    station->now_ms = day_now_ms();
    if (code == FX_OK)
        code = command_serve(station, (const char *)line->data, line->size - 1, answers, err);
    if (code == FX_OK && !station->options->status)
        code = station_drain(station, err);
    return code;
}

/* By the running station if there is one, else by ourselves. */
static enum fx_code command(struct station *station, struct fx_err *err)
{
    struct buf line = BUF_INIT;
    struct answers answers = {.out = BUF_INIT};
    struct fx_err away = FX_ERR_INIT;
    char path[STATION_SOCKET_PATH_MAX];
    station_socket_path(station->options, path);
    enum fx_code code = command_format(station->options, &line, err);
    if (code == FX_OK)
        code = server_ask(path, buf_text(&line), &answers.out, &away);
    if (away.code == FX_EMEMORY) {
        *err = away; /* it may have been obeyed: never a second time by ourselves */
    } else if (away.code != FX_OK) {
        buf_reset(&answers.out);
        code = command_here(station, &line, &answers, err);
    }
    if (code == FX_OK)
        code = buf_check(&answers.out, err);
    const char *text = buf_text(&answers.out);
    fputs(text, stdout);
    if (code == FX_OK && strncmp(text, "{\"ok\":true", 10) != 0)
        station->counts.rejected++;
    buf_release(&line);
    buf_release(&answers.out);
    return code;
}

/* ---- the program ---- */

static enum fx_code run(struct station *station, struct fx_err *err)
{
    const struct station_options *options = station->options;
    if (options->write_sources != NULL)
        return input_write_sources(options, err);
    if (options->dry_run)
        return dry_run(station, err);
    if (is_command(options))
        return command(station, err);
    enum fx_code code = open_all(station, err);
    if (code == FX_OK)
        open_asked(station);
    return code == FX_OK ? station_run(station, err) : code;
}

static enum fx_code prepare(const struct dialect *dialect, struct fx_argv *argv,
                            struct station_options *options, struct fx_err *err)
{
    enum fx_log_level level = FX_LOG_INFO;
    if (sodium_init() < 0)
        return fx_err_set(err, FX_EMEMORY, "libsodium does not start");
    if (station_options_parse(dialect, argv, options, err) != FX_OK || argv->is_done)
        return err->code;
    if (fx_log_parse_level(options->log_level, &level, err) == FX_OK)
        fx_log_open(dialect->program, level);
    return err->code;
}

int station_main(const struct dialect *dialect, int argc, char **argv)
{
    struct fx_err err = FX_ERR_INIT;
    struct fx_argv words = {.count = argc, .words = argv};
    struct station_options options;
    fx_log_open(dialect->program, FX_LOG_INFO);
    enum fx_code code = prepare(dialect, &words, &options, &err);
    if (code == FX_OK && words.is_done)
        return 0;
    struct station *station = calloc(1, sizeof *station);
    if (code == FX_OK && station == NULL)
        code = fx_err_set(&err, FX_EMEMORY, "no memory");
    bool has_rejected = false;
    if (code == FX_OK) {
        station->dialect = dialect;
        station->options = &options;
        station->rejects.file = -1;
        code = run(station, &err);
        has_rejected = station->counts.rejected + station->counts.refused > 0;
        close_all(station);
    }
    free(station);
    if (code != FX_OK)
        fx_log_err("stopped", &err);
    return code != FX_OK ? fx_code_exit_status(code) : has_rejected ? 1 : 0;
}
