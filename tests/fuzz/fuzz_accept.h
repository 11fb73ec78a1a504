/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_accept - what a producer made is what every consumer takes.
 *
 * A file of its own, as producers and consumers each have a struct event.
 */
#ifndef FX_FUZZ_ACCEPT_H
#define FX_FUZZ_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

void fuzz_accept_open(void);

/* Fails the process unless the plan of the message's kind, and avro-c, take it as an event that
 * counts (fuzz_check.h). */
void fuzz_accept(const uint8_t *bytes, size_t size);

#endif
