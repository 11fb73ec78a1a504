/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - fingerprints of bytes and random numbers, by libsodium.
 */
#ifndef FX_DIGEST_H
#define FX_DIGEST_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256_SIZE 32

/* Once per process, before anything else here. FX_ESTATE: no source of randomness. */
FX_MUST_CHECK enum fx_code digest_open(struct fx_err *err);

void digest_sha256(const void *bytes, size_t size, uint8_t out[DIGEST_SHA256_SIZE]);

/* 64 bits of BLAKE2b: for recognising a record, not for secrets. */
uint64_t digest_u64(const void *bytes, size_t size);

uint64_t digest_random(void);

#endif
