/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <sodium.h>
#include <string.h>

_Static_assert(DIGEST_SHA256_SIZE == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

enum fx_code digest_open(struct fx_err *err)
{
    return sodium_init() < 0 ? fx_err_set(err, FX_ESTATE, "libsodium: no source of randomness")
                             : FX_OK;
}

void digest_sha256(const void *bytes, size_t size, uint8_t out[DIGEST_SHA256_SIZE])
{
    crypto_hash_sha256(out, bytes, size);
}

uint64_t digest_u64(const void *bytes, size_t size)
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, bytes, size, NULL, 0);
    uint64_t value;
    memcpy(&value, hash, sizeof value);
    return value;
}

uint64_t digest_random(void)
{
    uint64_t value;
    randombytes_buf(&value, sizeof value);
    return value;
}
