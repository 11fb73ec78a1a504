/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station_socket - lines and commands from other programs, over a Unix socket beside the outbox.
 *
 * Mode 0600. Each line but a blank one is answered by one line, in order, after the fsync; where
 * the fsync fails, by the reason. A line that begins with {"command": is a command (see
 * station_command.h) and is served by every station that has an input; event lines only where
 * --socket says so. A station that stops goes on serving commands, and takes no line. A writer that
 * does not read its answers is served no further until it does, and holds up nobody else.
 *
 * Limit: SOCKET_CLIENTS_MAX writers at a time. Where more come, the one that has neither ended a
 * line nor read an answer for longest, SOCKET_PATIENCE_MS at least, is closed for the next: what it
 * was answered stands. The others wait until there is a place.
 */
#ifndef FX_STATION_SOCKET_H
#define FX_STATION_SOCKET_H

#include "station_core.h"

#include <poll.h>

#define SOCKET_CLIENTS_MAX 64
#define SOCKET_PATIENCE_MS 3000

struct server;

/* Listens at path. FX_ECONFIG: the path is too long, or somebody answers there already. */
FX_MUST_CHECK enum fx_code server_open(struct station *station, const char *path,
                                       struct server **server, struct fx_err *err);

/* Fills fds (room SOCKET_CLIENTS_MAX + 1); returns how many. */
int server_poll_fds(const struct server *server, struct pollfd *fds);

/*
 * Accepts, reads, takes up to limit lines, and writes answers that are settled.
 * On error the batch was not rolled back.
 */
FX_MUST_CHECK enum fx_code server_serve(struct server *server, int64_t limit, struct fx_err *err);

bool server_has_more(const struct server *server); /* lines are there already */

/* Writes what is settled, and removes the socket. */
void server_close(struct server *server);

/* Asks the station at path: sends line, gives its answer. FX_ERETRY: nobody listens or answers
 * there. FX_EMEMORY: of ours, for the answer or a socket; the line may have been obeyed. */
FX_MUST_CHECK enum fx_code server_ask(const char *path, const char *line, struct buf *answer,
                                      struct fx_err *err);

#endif
