/* SPDX-License-Identifier: Apache-2.0 */
#include "station_options.h"

#include "../common/day.h"
#include "../common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT(field) offsetof(struct station_options, field)
#define SIMULATION_FROM_MS INT64_C(1644422400000) /* 2022-02-10T00:00+08:00 */

static const struct fx_opt opts[] = {
    KAFKA_OPTS(struct station_options, kafka),
    {"topic-prefix", 0, FX_OPT_TEXT, AT(topic_prefix), "PREFIX", "FX_TOPIC_PREFIX", 0, 0,
     "topics are PREFIX.kind (fangxian)"},
    {"schemas", 0, FX_OPT_TEXT, AT(schemas), "DIR", "FX_SCHEMAS", 0, 0, "where the kinds lie"},
    {"outbox", 0, FX_OPT_TEXT, AT(outbox), "FILE", NULL, 0, 0, "the durable queue (STATE/KIND.db)"},
    {"state", 0, FX_OPT_TEXT, AT(state), "DIR", "FX_STATE", 0, 0,
     "where outboxes lie (~/.local/state/fangxian)"},
    {"source", 0, FX_OPT_TEXT, AT(source), "NAME", NULL, 0, 0,
     "the post or device, where a line does not name its own"},
    {"region", 0, FX_OPT_TEXT, AT(region), "CODE", NULL, 0, 0,
     "the place, where a line does not name its own"},
    {"set", 0, FX_OPT_LIST, AT(set), "FIELD=VALUE", NULL, 0, 0,
     "a constant of this post; several times"},
    {"follow", 0, FX_OPT_TEXT, AT(follow), "FILE", NULL, 0, 0,
     "take the lines of a growing file, through rotations and restarts"},
    {"socket", 0, FX_OPT_FLAG, AT(socket), NULL, NULL, 0, 0,
     "take lines from a Unix socket, each answered once it is stored"},
    {"socket-path", 0, FX_OPT_TEXT, AT(socket_path), "PATH", NULL, 0, 0,
     "the socket, for lines and commands (OUTBOX.sock)"},
    {"answers", 0, FX_OPT_FLAG, AT(answers), NULL, NULL, 0, 0,
     "answer each line on stdout once it is stored"},
    {"rejects", 0, FX_OPT_TEXT, AT(rejects), "FILE", NULL, 0, 0,
     "append refused lines to FILE, with number, field and reason"},
    {"dry-run", 0, FX_OPT_FLAG, AT(dry_run), NULL, NULL, 0, 0,
     "check the lines and print the records; store and send nothing"},
    {"status", 0, FX_OPT_FLAG, AT(status), NULL, NULL, 0, 0, "print the outbox's state and exit"},
    {"resend", 0, FX_OPT_TEXT, AT(resend), "SOURCE:RUN:FIRST-LAST", NULL, 0, 0,
     "send kept numbers again; harmless"},
    {"reverse", 0, FX_OPT_TEXT, AT(reverse), "SOURCE:RUN:SEQ", NULL, 0, 0,
     "undo an event by a new one, once; wants --reason"},
    {"reason", 0, FX_OPT_TEXT, AT(reason), "TEXT", NULL, 0, 0, "why, kept in the outbox"},
    {"group-lines", 0, FX_OPT_NUMBER, AT(group_lines), "N", NULL, 1, 100000,
     "lines per fsync at most (3584)"},
    {"group-ms", 0, FX_OPT_NUMBER, AT(group_ms), "MS", NULL, 0, 10000,
     "how long a line may wait for others to share its fsync (0)"},
    {"heartbeat-s", 0, FX_OPT_NUMBER, AT(heartbeat_s), "S", NULL, 1, 86400,
     "between two signs of life of a source (300)"},
    {"outbox-max-bytes", 0, FX_OPT_NUMBER, AT(outbox_max_bytes), "N", NULL, 1 << 20, INT64_MAX,
     "beyond it no line is taken (4 GiB)"},
    {"keep-days", 0, FX_OPT_NUMBER, AT(keep_days), "N", NULL, 0, 3650,
     "days after its storing that an acknowledged event is kept (7); a line's id\nis known for a "
     "day "
     "at least, an hour where --outbox-max-bytes is reached"},
    {"ignore-resend", 0, FX_OPT_FLAG, AT(ignore_resend), NULL, NULL, 0, 0,
     "do not hear what the city asks for: numbers it misses are sent again\n"
     "only by --resend"},
    {"log-level", 0, FX_OPT_TEXT, AT(log_level), "LEVEL", "FX_LOG_LEVEL", 0, 0,
     "error, warn, info or debug"},
    {"no-drain", 0, FX_OPT_FLAG, AT(no_drain), NULL, NULL, 0, 0,
     "end with the input; what is not sent yet goes first next time"},
    {"drain-s", 0, FX_OPT_NUMBER, AT(drain_s), "S", NULL, 0, 864000,
     "at the end wait so long for Kafka, then exit 4\n(no bound; 10 once stopped by a signal)"},
    {"simulate", 0, FX_OPT_FLAG, AT(simulate), NULL, NULL, 0, 0,
     "play a city's posts instead of reading lines; resumes where it was"},
    {"events", 0, FX_OPT_NUMBER, AT(events), "N", NULL, 1, INT64_MAX,
     "lines of the simulation (10000); at most, where the city's story is all"},
    {"sources", 0, FX_OPT_NUMBER, AT(sources), "N", NULL, 1, 200000,
     "posts of the simulation (17), beside those of the city's story"},
    {"from", 0, FX_OPT_TIME, AT(from_ms), "TIME", NULL, 0, 0, "its begin (2022-02-10)"},
    {"to", 0, FX_OPT_TIME, AT(to_ms), "TIME", NULL, 0, 0, "its end (a day after --from)"},
    {"seed", 0, FX_OPT_NUMBER, AT(seed), "N", NULL, 0, INT64_MAX, "its seed (1)"},
    {"rate", 0, FX_OPT_NUMBER, AT(rate), "N", NULL, 1, 100000000, "lines per second at most"},
    {"write-sources", 0, FX_OPT_TEXT, AT(write_sources), "FILE", NULL, 0, 0,
     "write the simulated posts as rows of sources.csv and exit"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL}};

static const char notes[] =
    "Exit status: 0 done; 1 a line was refused; 2 usage or definition; 3 a person must decide;\n"
    "4 Kafka is out of reach (what was taken stays in the outbox); 5 the local disk.\n"
    "Lines: {\"field\":value, ...} with \"source\", \"region\", \"at\" and \"id\" where they "
    "apply.";

bool station_is_daemon(const struct station_options *options)
{
    return options->follow != NULL || options->socket;
}

void station_socket_path(const struct station_options *options, char out[STATION_SOCKET_PATH_MAX])
{
    if (options->socket_path != NULL)
        snprintf(out, STATION_SOCKET_PATH_MAX, "%.1020s", options->socket_path);
    else
        snprintf(out, STATION_SOCKET_PATH_MAX, "%s.sock", options->outbox_path);
}

static enum fx_code make_directories(char *path, struct fx_err *err)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return fx_err_set(err, FX_EDISK, "directory %s: %s", path, strerror(errno));
        *slash = '/';
    }
    return FX_OK;
}

static enum fx_code choose_outbox(struct station_options *options, struct fx_err *err)
{
    const char *home = getenv("HOME");
    char *path = options->outbox_path;
    size_t size = sizeof options->outbox_path;
    int length;
    if (options->outbox != NULL)
        length = snprintf(path, size, "%s", options->outbox);
    else if (options->state != NULL)
        length = snprintf(path, size, "%s/%s.db", options->state, options->kind);
    else
        length = snprintf(path, size, "%s/.local/state/fangxian/%s.db", home != NULL ? home : "",
                          options->kind);
    if (length < 1 || (size_t)length >= size)
        return fx_err_set(err, FX_ECONFIG, "the outbox's path is empty or too long");
    bool is_wanted = options->outbox == NULL && !options->dry_run && options->write_sources == NULL;
    return is_wanted ? make_directories(path, err) : FX_OK;
}

static void choose_schemas(struct station_options *options)
{
    if (options->schemas == NULL)
        options->schemas = schema_default_directory();
}

static enum fx_code check_combination(const struct station_options *options, struct fx_err *err)
{
    if ((options->follow != NULL) + options->simulate > 1)
        return fx_err_set(err, FX_ECONFIG, "--follow and --simulate are two inputs; give one");
    if (options->simulate && options->socket)
        return fx_err_set(err, FX_ECONFIG, "--simulate and --socket are two inputs; give one");
    if (options->reverse != NULL && (options->reason == NULL || options->reason[0] == '\0'))
        return fx_err_set(err, FX_ECONFIG, "--reverse wants --reason TEXT");
    if (options->status + (options->resend != NULL) + (options->reverse != NULL) > 1)
        return fx_err_set(err, FX_ECONFIG, "--status, --resend and --reverse: give one at a time");
    return FX_OK;
}

enum fx_code station_options_parse(const struct dialect *dialect, struct fx_argv *argv,
                                   struct station_options *options, struct fx_err *err)
{
    const struct fx_program program = {.name = dialect->program,
                                       .synopsis = dialect->kind == NULL ? "[options] KIND < lines"
                                                                         : "[options] < lines",
                                       .summary = dialect->summary,
                                       .opts = opts,
                                       .notes = notes};
    *options = (struct station_options){.topic_prefix = "fangxian",
                                        .group_lines = 3584,
                                        .heartbeat_s = 300,
                                        .outbox_max_bytes = INT64_C(4) << 30,
                                        .keep_days = 7,
                                        .log_level = "info",
                                        .drain_s = -1,
                                        .events = 10000,
                                        .sources = 17,
                                        .from_ms = SIMULATION_FROM_MS,
                                        .seed = 1};
    enum fx_code code = args_parse(&program, argv, options, err);
    if (code != FX_OK || argv->is_done)
        return code;
    if (options->to_ms == 0)
        options->to_ms = options->from_ms + DAY_MS;
    int wanted = dialect->kind == NULL ? 1 : 0;
    if (argv->count - argv->operands != wanted)
        return fx_err_set(err, FX_ECONFIG, "%s; see %s --help",
                          wanted == 1 ? "give one KIND" : "no operand is wanted", dialect->program);
    options->kind = wanted == 1 ? argv->words[argv->operands] : dialect->kind;
    if (!text_is_identifier(options->kind))
        return fx_err_set(err, FX_ECONFIG, "a KIND is named by a-z, 0-9 and _");
    choose_schemas(options);
    code = check_combination(options, err);
    return code == FX_OK ? choose_outbox(options, err) : code;
}
