/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post - a station as a process of its own, with an outbox in a scratch folder and its socket.
 *
 * The test's own program is started once more and becomes the station, so main has to begin with
 * post_main. Without brokers unless an argument names some.
 */
#ifndef FX_POST_H
#define FX_POST_H

#include "../../producers/station.h"
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define POST_ARGS_MAX 40

struct post {
    struct scratch scratch;
    char outbox[128];
    bool drains; /* waits at its end for Kafka to acknowledge what it has */
    pid_t pid;   /* 0: none runs */
};

/* What the process is to be; true: it was a station, and *status is its exit status. */
static inline bool post_main(const struct dialect *dialect, int argc, char **argv, int *status)
{
    if (argc < 2 || strcmp(argv[1], "--as-a-station") != 0)
        return false;
    *status = station_main(dialect, argc - 1, argv + 1);
    return true;
}

static inline void post_init(struct post *post)
{
    *post = (struct post){0};
    scratch_open(&post->scratch);
    snprintf(post->outbox, sizeof post->outbox, "%s/o.db", post->scratch.root);
    unsetenv("FX_BROKERS");
    unsetenv("FX_TOPIC_PREFIX");
}

/* Starts the program with the words of more, separated by single spaces; stdout goes to "out". */
static inline void post_spawn(struct post *post, const char *more)
{
    extern char **environ;
    static char words[2048];
    char out[128];
    char *args[POST_ARGS_MAX] = {NULL};
    int count = 0;
    int size =
        snprintf(words, sizeof words,
                 "station --as-a-station --outbox %s --schemas %s --log-level error "
                 "%s %s",
                 post->outbox, FX_SCHEMAS_DIR, post->drains ? "--drain-s 8" : "--no-drain", more);
    assert_in_range(size, 1, sizeof words - 1);
    for (char *word = words; *word != '\0' && count < POST_ARGS_MAX - 1;) {
        args[count++] = word;
        word += strcspn(word, " ");
        if (*word == ' ')
            *word++ = '\0';
    }
    snprintf(out, sizeof out, "%s/out", post->scratch.root);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    assert_int_equal(posix_spawn(&post->pid, "/proc/self/exe", &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
}

/* Waits for the station's end; its exit status, or 128 + the signal. */
static inline int post_wait(struct post *post)
{
    int status = 0;
    assert_int_equal(waitpid(post->pid, &status, 0), post->pid);
    post->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int post_stop(struct post *post, int signal_number)
{
    assert_int_equal(kill(post->pid, signal_number), 0);
    return post_wait(post);
}

/* What is in root/name, at most a megabyte. */
static inline const char *post_read(const struct post *post, const char *name)
{
    static char text[1 << 20];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", post->scratch.root, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static inline void post_release(struct post *post)
{
    if (post->pid != 0)
        post_stop(post, SIGKILL);
    scratch_close(&post->scratch);
}

#endif
