/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The columns of schemas/checkpoint/checkpoint.rollup.json by hand, in their order there: a cell is
 * a long[COUNT]. Columns named ..._max are extremes, NONE until there is one; all others are sums.
 */
final class Columns {
    static final int CELLS_MAX = 50_000; // as many are handed on although no checkpoint is due
    static final long NONE = -1; // no field of the schema is negative

    static final int CHECKED_GROUPS = 0;
    static final int CHECKED_VEHICLES = 1;
    static final int CHECKED_PERSON_TIMES = 2;
    static final int ENTERING_PERSON_TIMES = 3;
    static final int LEAVING_PERSON_TIMES = 4;
    static final int PART_FIRST = 5; // code_green to to_quarantine, as in the schema
    static final int PART_COUNT = 17;
    static final int TURNED_BACK = PART_FIRST + 14;
    static final int TEMPERATURE_MAX = 22;
    static final int TURNED_BACK_VEHICLES = 23;
    static final int OUT_OF_PROVINCE_VEHICLES = 24;
    static final int QUEUE_VEHICLES_MAX = 25;
    static final int WAIT_TOTAL_S = 26;
    static final int WAIT_MEASURED_GROUPS = 27;
    static final int WAITED_WITHIN_5MIN = 28;
    static final int WAITED_WITHIN_10MIN = 29;
    static final int WAITED_WITHIN_30MIN = 30;
    static final int WAITED_WITHIN_60MIN = 31;
    static final int COUNT = 32;

    static final List<String> NAMES = names();
    static final String[] POST_TYPES = {
        "EXPRESSWAY", "TRUNK_ROAD", "VILLAGE", "COMMUNITY", "STATION", "PORT"
    };

    private Columns() {
    }

    private static List<String> names() {
        List<String> names = new ArrayList<>(List.of("checked_groups", "checked_vehicles",
            "checked_person_times", "entering_person_times", "leaving_person_times"));
        for (String part : List.of("code_green", "code_yellow", "code_red", "code_none",
            "code_unchecked", "itinerary_clear", "itinerary_star", "itinerary_risk",
            "itinerary_none", "itinerary_unchecked", "temperature_taken", "temperature_high",
            "passed", "passed_after_sample", "turned_back", "held_fever", "to_quarantine"))
            names.add(part + "_person_times");
        names.addAll(List.of("temperature_decicelsius_max", "turned_back_vehicles",
            "out_of_province_vehicles", "queue_vehicles_max", "wait_total_s",
            "wait_measured_groups", "waited_within_5min_groups", "waited_within_10min_groups",
            "waited_within_30min_groups", "waited_within_60min_groups"));
        if (names.size() != COUNT)
            throw new IllegalStateException(names.size() + " column names, " + COUNT + " columns");
        return List.copyOf(names);
    }

    static boolean isMax(int column) {
        return column == TEMPERATURE_MAX || column == QUEUE_VEHICLES_MAX;
    }

    static long[] empty() {
        long[] values = new long[COUNT];
        reset(values);
        return values;
    }

    static void reset(long[] values) {
        Arrays.fill(values, 0);
        values[TEMPERATURE_MAX] = NONE;
        values[QUEUE_VEHICLES_MAX] = NONE;
    }

    static void merge(long[] into, long[] from) {
        long temperature = Math.max(into[TEMPERATURE_MAX], from[TEMPERATURE_MAX]);
        long queue = Math.max(into[QUEUE_VEHICLES_MAX], from[QUEUE_VEHICLES_MAX]);
        for (int i = 0; i < COUNT; i++)
            into[i] += from[i];
        into[TEMPERATURE_MAX] = temperature;
        into[QUEUE_VEHICLES_MAX] = queue;
    }

    /** As zigzag varints: most values are small, so that state and checkpoints are a quarter. */
    static byte[] pack(long[] values) {
        byte[] bytes = new byte[COUNT * 10];
        int at = 0;
        for (long value : values) {
            long left = value << 1 ^ value >> 63;
            while ((left & ~0x7fL) != 0) {
                bytes[at++] = (byte) (left | 0x80);
                left >>>= 7;
            }
            bytes[at++] = (byte) left;
        }
        return Arrays.copyOf(bytes, at);
    }

    static long[] unpack(byte[] bytes) {
        long[] values = new long[COUNT];
        int at = 0;
        for (int i = 0; i < COUNT; i++) {
            long value = 0;
            int shift = 0;
            byte next;
            do {
                next = bytes[at++];
                value |= (next & 0x7fL) << shift;
                shift += 7;
            } while (next < 0);
            values[i] = value >>> 1 ^ -(value & 1);
        }
        return values;
    }
}
