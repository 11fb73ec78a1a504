/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Decodes schemas/checkpoint/1.avsc by hand from Avro's single-object encoding. One object serves
 * all events: texts stay in the message's bytes, numbers go straight to fields.
 */
final class Event {
    static final VarHandle LONG =
        MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    // CRC-64-AVRO of checkpoint/1.avsc and heartbeat/1.avsc, as in fx-setup's table schema_version
    private static final long CHECKPOINT = 0x2a5743e808332784L;
    private static final long HEARTBEAT = 0x7b2b0d889f6dcb23L;
    private static final int HEADER = 10;
    private static final long HOUR_MS = 3_600_000;

    byte[] bytes;
    int sourceAt;
    int sourceSize;
    int regionAt;
    int regionSize;
    long hour; // hours since 1970 UTC; the reporting zone's offset is whole hours
    long sign;
    boolean isInbound;
    int postType;
    boolean isOnFoot;
    boolean isOutOfProvince;
    long persons;
    final long[] parts = new long[Columns.PART_COUNT];
    long temperatureMax; // these three NONE where null
    long queueVehicles;
    long waitS;

    private int at;

    /** False for a heartbeat, which is no event. */
    boolean decode(byte[] message) throws IOException {
        if (message.length < HEADER || message[0] != (byte) 0xc3 || message[1] != 1)
            throw new IOException("not in Avro's single-object encoding");
        long fingerprint = (long) LONG.get(message, 2);
        if (fingerprint != CHECKPOINT) {
            if (fingerprint == HEARTBEAT)
                return false;
            throw new IOException("unknown schema " + Long.toHexString(fingerprint));
        }
        bytes = message;
        at = HEADER;
        readEnvelope();
        isInbound = next() == 0;
        postType = (int) next();
        isOnFoot = next() == 0;
        isOutOfProvince = next() == 3;
        persons = next();
        for (int i = 0; i < Columns.PART_COUNT; i++)
            parts[i] = next();
        temperatureMax = nextOrNone();
        queueVehicles = nextOrNone();
        waitS = nextOrNone();
        if (at != message.length)
            throw new IOException("bytes are left over after an event");
        return true;
    }

    private void readEnvelope() {
        sourceSize = (int) next();
        sourceAt = at;
        at += sourceSize;
        next(); // run
        next(); // seq
        long occurredAt = next();
        regionSize = (int) next();
        regionAt = at;
        at += regionSize;
        sign = next();
        nextOrNone(); // reverses_run
        nextOrNone(); // reverses_seq
        long countedAt = nextOrNone();
        hour = Math.floorDiv(countedAt == Columns.NONE ? occurredAt : countedAt, HOUR_MS);
    }

    private long nextOrNone() {
        return next() == 0 ? Columns.NONE : next();
    }

    /* Most numbers are one byte. Beyond the end the array's own check throws. */
    private long next() {
        byte first = bytes[at++];
        if (first >= 0)
            return first >>> 1 ^ -(first & 1);
        return nextLong(first);
    }

    private long nextLong(byte first) {
        long value = first & 0x7f;
        int shift = 7;
        byte next;
        do {
            next = bytes[at++];
            value |= (next & 0x7fL) << shift;
            shift += 7;
        } while (next < 0);
        return value >>> 1 ^ -(value & 1);
    }
}
