/* SPDX-License-Identifier: Apache-2.0 */
#include "station_socket.h"

#include "../common/day.h"
#include "../common/log.h"
#include "lines.h"
#include "station_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK 16384
#define UNREAD_MAX 262144 /* bytes of answers a writer may leave unread */
#define ASK_TIMEOUT_S 30

struct client {
    int file; /* -1: the place is free */
    bool is_ended;
    bool has_more;
    int64_t number;    /* of its last line */
    int64_t active_ms; /* monotonic: when it last ended a line or read an answer, or came */
    struct lines lines;
    struct answers answers;
};

struct found_line {
    enum lines_found found;
    const char *text;
    size_t size;
};

struct server {
    struct station *station;
    int file;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int first;       /* client that is served first this turn */
    int64_t evicted; /* clients that had to give way */
    struct client clients[SOCKET_CLIENTS_MAX];
};

static enum fx_code set_address(const char *path, struct sockaddr_un *address, struct fx_err *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path)
        return fx_err_set(err, FX_ECONFIG, "socket %s: the path has more than %zu bytes", path,
                          sizeof address->sun_path - 1);
    memcpy(address->sun_path, path, strlen(path));
    return FX_OK;
}

/* Whoever holds the outbox owns its socket: what lies there is left over from a crash. */
static enum fx_code listen_at(const struct sockaddr_un *address, int *file, struct fx_err *err)
{
    int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fresh < 0)
        return fx_err_set(err, FX_EMEMORY, "socket: %s", strerror(errno));
    unlink(address->sun_path);
    mode_t mask = umask(0177);
    int bound = bind(fresh, (const struct sockaddr *)address, sizeof *address);
    umask(mask);
    if (bound != 0 || listen(fresh, SOCKET_CLIENTS_MAX) != 0) {
        fx_err_set(err, FX_ECONFIG, "socket %s: %s", address->sun_path, strerror(errno));
        close(fresh);
        return err->code;
    }
    *file = fresh;
    return FX_OK;
}

enum fx_code server_open(struct station *station, const char *path, struct server **server,
                         struct fx_err *err)
{
    struct sockaddr_un address;
    int file = -1;
    if (set_address(path, &address, err) != FX_OK || listen_at(&address, &file, err) != FX_OK)
        return err->code;
    struct server *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        close(file);
        return fx_err_set(err, FX_EMEMORY, "no memory for a socket");
    }
    fresh->station = station;
    fresh->file = file;
    memcpy(fresh->path, address.sun_path, sizeof fresh->path);
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++)
        fresh->clients[i].file = -1;
    *server = fresh;
    return FX_OK;
}

/* A refusal that concerns the line alone. */
static enum fx_code refuse_line(struct client *client, const char *reason)
{
    answer_refusal(&client->answers, "", reason);
    answer_settle(&client->answers);
    return FX_OK;
}

/* A writer whose answers pile up is not read from. */
static bool wants_reading(const struct client *client)
{
    return client->file >= 0 && !client->is_ended && client->answers.out.size < UNREAD_MAX;
}

static bool has_place(const struct server *server)
{
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++)
        if (server->clients[i].file < 0)
            return true;
    return false;
}

int server_poll_fds(const struct server *server, struct pollfd *fds)
{
    int count = 0;
    /* whoever knocks while no place is free would wake it again and again */
    fds[count++] = (struct pollfd){.fd = server->file, .events = has_place(server) ? POLLIN : 0};
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        const struct client *client = &server->clients[i];
        if (client->file < 0)
            continue;
        short events = wants_reading(client) ? POLLIN : 0;
        if (client->answers.settled > 0)
            events = (short)(events | POLLOUT);
        fds[count++] = (struct pollfd){.fd = client->file, .events = events};
    }
    return count;
}

static void drop(struct client *client)
{
    fx_assert(client->answers.pending == 0);
    close(client->file);
    client->file = -1;
    client->has_more = false;
    lines_release(&client->lines);
    buf_release(&client->answers.out);
}

/* The one that has done nothing for longest, and long enough to give way. NULL: none. */
static struct client *find_silent(struct server *server)
{
    struct client *silent = NULL;
    int64_t until_ms = day_monotonic_ms() - SOCKET_PATIENCE_MS;
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];
        if (client->active_ms <= until_ms && client->answers.pending == 0 &&
            (silent == NULL || client->active_ms < silent->active_ms))
            silent = client;
    }
    return silent;
}

static struct client *find_place(struct server *server)
{
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++)
        if (server->clients[i].file < 0)
            return &server->clients[i];
    return find_silent(server);
}

static void accept_clients(struct server *server)
{
    struct client *place;
    while ((place = find_place(server)) != NULL) {
        int file = accept4(server->file, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (file < 0)
            return;
        if (place->file >= 0) {
            drop(place);
            if (server->evicted++ == 0)
                fx_log(FX_LOG_WARN, "socket_crowded", "places=%d further=\"not told\"",
                       SOCKET_CLIENTS_MAX);
        }
        *place = (struct client){
            .file = file, .active_ms = day_monotonic_ms(), .answers = {.out = BUF_INIT}};
        lines_init(&place->lines, CHUNK);
    }
}

static void write_answers(struct client *client)
{
    struct answers *answers = &client->answers;
    while (answers->settled > 0) {
        ssize_t written =
            send(client->file, answers->out.data, answers->settled, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (written < 0) { /* gone; its lines stay taken, those that are not are nobody's */
            client->is_ended = true;
            client->has_more = false;
            written = (ssize_t)answers->settled;
        }
        client->active_ms = day_monotonic_ms();
        size_t done = (size_t)written;
        memmove(answers->out.data, answers->out.data + done, answers->out.size - done);
        answers->out.size -= done;
        answers->settled -= done;
    }
}

/* A command sees, and answers after, all that was taken before it. */
static enum fx_code take_command(struct server *server, struct client *client,
                                 const struct found_line *line, struct fx_err *err)
{
    if (station_commit(server->station, err) == FX_OK)
        return command_serve(server->station, line->text, line->size, &client->answers, err);
    refuse_line(client, err->text);
    return err->code;
}

static enum fx_code take_line(struct server *server, struct client *client,
                              const struct found_line *line, struct fx_err *err)
{
    struct station *station = server->station;
    const struct origin origin = {++client->number, &client->answers};
    client->active_ms = day_monotonic_ms();
    if (line->found == LINES_LINE && command_is_one(line->text, line->size))
        return take_command(server, client, line, err);
    if (!station->options->socket)
        return refuse_line(client, "this station takes no lines here, see --socket");
    if (station->is_ending || station->is_full) {
        station_turn_away(station, &origin, line->found == LINES_TOO_LONG ? NULL : line->text,
                          line->size);
        return FX_OK;
    }
    if (line->found == LINES_TOO_LONG)
        return station_reject_long(station, &origin, err);
    return station_take(station, &origin, line->text, line->size, err);
}

static enum fx_code read_client(struct client *client, struct fx_err *err)
{
    long count = 0;
    struct fx_err gone = FX_ERR_INIT;
    if (lines_read(&client->lines, client->file, &count, &gone) == FX_EMEMORY)
        return fx_err_set(err, FX_EMEMORY, "%s", gone.text);
    if (gone.code != FX_OK || count == 0)
        client->is_ended = true;
    return FX_OK;
}

static enum fx_code serve_client(struct server *server, struct client *client, int64_t *limit,
                                 struct fx_err *err)
{
    if (!client->has_more && read_client(client, err) != FX_OK)
        return err->code;
    client->has_more = true;
    while (*limit > 0 && client->answers.out.size < UNREAD_MAX) {
        struct found_line line = {LINES_NONE, NULL, 0};
        line.found = lines_next(&client->lines, &line.text, &line.size);
        if (line.found == LINES_NONE) {
            client->has_more = false;
            return FX_OK;
        }
        (*limit)--;
        if (take_line(server, client, &line, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* Each turn begins with another client: those in front must not use up the limit for ever. New ones
 * come last: who was heard this turn does not give way to them. */
enum fx_code server_serve(struct server *server, int64_t limit, struct fx_err *err)
{
    server->first = (server->first + 1) % SOCKET_CLIENTS_MAX;
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[(server->first + i) % SOCKET_CLIENTS_MAX];
        if (client->file < 0)
            continue;
        /* without a line to take, an end would be read that nobody looks for */
        if (limit > 0 && wants_reading(client) &&
            serve_client(server, client, &limit, err) != FX_OK)
            return err->code;
        if (buf_check(&client->answers.out, err) != FX_OK)
            return err->code;
        write_answers(client);
        if (client->is_ended && !client->has_more && client->answers.out.size == 0 &&
            client->answers.pending == 0)
            drop(client);
    }
    accept_clients(server);
    return FX_OK;
}

bool server_has_more(const struct server *server)
{
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++)
        if (server->clients[i].has_more && wants_reading(&server->clients[i]))
            return true;
    return false;
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    for (int i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];
        if (client->file < 0)
            continue;
        write_answers(client);
        drop(client);
    }
    close(server->file);
    unlink(server->path);
    free(server);
}

enum fx_code server_ask(const char *path, const char *line, struct buf *answer, struct fx_err *err)
{
    struct sockaddr_un address;
    if (set_address(path, &address, err) != FX_OK)
        return err->code;
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = ASK_TIMEOUT_S};
    if (file < 0)
        return fx_err_set(err, FX_EMEMORY, "socket: %s", strerror(errno));
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    enum fx_code code = FX_OK;
    if (connect(file, (const struct sockaddr *)&address, sizeof address) != 0)
        code = fx_err_set(err, FX_ERETRY, "socket %s: %s", path, strerror(errno));
    else if (send(file, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
        code = fx_err_set(err, FX_ERETRY, "socket %s: %s", path, strerror(errno));
    while (code == FX_OK && (answer->size == 0 || answer->data[answer->size - 1] != '\n')) {
        uint8_t *room = buf_reserve(answer, 4096);
        ssize_t got = room == NULL ? 0 : recv(file, room, 4096, 0);
        if (room == NULL)
            code = buf_check(answer, err);
        else if (got <= 0)
            code = fx_err_set(err, FX_ERETRY, "socket %s: no answer", path);
        else
            answer->size += (size_t)got;
    }
    close(file);
    return code;
}
