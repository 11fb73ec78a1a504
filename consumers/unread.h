/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unread - finds out which offsets lie in a batch that nobody can unpack.
 *
 * Kafka delivers records in batches as they were sent. One that unpacks to more than
 * receive.message.max.bytes, or to nothing (a zip bomb, a broken writer), comes as an error that
 * names its first offset, not its last, whatever offset in it is asked for. So offsets further on
 * are asked for: where the error comes again, all up to there is in the batch; where a message
 * comes, it went too far. Strides double, then halve: a batch of a million records takes some
 * forty questions.
 *
 * Only offsets of which the error was seen are given up; UNREAD_TRIES times, before the first is.
 * They are a hole then: whoever sent good numbers in there is asked for them.
 *
 * Pure. The caller asks (seeks), and waits for the answer to its last question before it tells.
 */
#ifndef FX_UNREAD_H
#define FX_UNREAD_H

#include <stdbool.h>
#include <stdint.h>

#define UNREAD_TRIES 3

/* All zero: nothing is wrong. */
struct unread {
    int tries;         /* errors at the offset that is next */
    int64_t stride;    /* how far ahead is asked for, 0: not at all */
    int64_t probe;     /* offset asked for */
    bool is_shrinking; /* it once went too far */
};

/*
 * The batch that begins at base could not be unpacked; next is the next offset wanted, end the one
 * behind the last that Kafka has. Returns the last offset that is given up, next - 1: none yet.
 * unread->probe is to be asked for then.
 */
int64_t unread_failed(struct unread *unread, int64_t next, int64_t base, int64_t end);

/* A message from behind next came. true: because it was asked for; unread->probe is to be asked
 * for now. */
bool unread_went_too_far(struct unread *unread, int64_t next);

#endif
