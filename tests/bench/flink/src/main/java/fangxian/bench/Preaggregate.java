/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Adds events up in the source's own task and hands on one record per changed cell before each
 * checkpoint's barrier, or when there are many, so that it has no state of its own to save and nothing but cells crosses
 * between tasks: the local half of Flink's local-global aggregation.
 *
 * An event changes one cell, that of its source; towns, counties and the city are added up from
 * these when they are handed on. Which cell it is costs one look-up of the source's bytes: a source
 * stands still and mostly adds to the hour it added to last.
 */
final class Preaggregate extends AbstractStreamOperator<Tuple2<Key, byte[]>>
    implements OneInputStreamOperator<byte[], Tuple2<Key, byte[]>> {
    private static final int REPORT_EVERY = 256;
    private static final long MIX = 0x9e3779b97f4a7c15L;

    /** What a source added to one hour and post type since the last checkpoint. */
    private static final class Leaf {
        final Source source;
        final Regions.Place place;
        final long hour;
        final int postType;
        final long[] values = Columns.empty();
        boolean isChanged;

        Leaf(Source source, Regions.Place place, long hour, int postType) {
            this.source = source;
            this.place = place;
            this.hour = hour;
            this.postType = postType;
        }
    }

    private static final class Source {
        final byte[] name;
        final String text;
        byte[] region = {};
        Regions.Place place; // of region, null where the tree has none
        final Leaf[] latest = new Leaf[Columns.POST_TYPES.length];

        Source(byte[] name) {
            this.name = name;
            this.text = new String(name, StandardCharsets.UTF_8);
        }
    }

    private final Regions regions;
    private transient Event event;
    private transient Source[] sources; // open addressing, a power of two
    private transient int sourceCount;
    private transient List<Leaf> changed;
    private transient long seen;
    private transient int subtask;

    Preaggregate(Regions regions) {
        this.regions = regions;
    }

    @Override
    public void open() throws Exception {
        super.open();
        event = new Event();
        sources = new Source[1 << 12];
        changed = new ArrayList<>();
        subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
    }

    @Override
    public void processElement(StreamRecord<byte[]> element) throws IOException {
        if (seen++ % REPORT_EVERY == 0)
            Measure.report(subtask, seen);
        if (!event.decode(element.getValue()))
            return;
        Source source = findSource();
        Regions.Place place = findPlace(source);
        if (place == null)
            Measure.reject();
        else
            add(findLeaf(source, place));
        if (changed.size() >= Columns.CELLS_MAX)
            handOn();
    }

    // ---- which cell ----

    private Source findSource() {
        int from = event.sourceAt;
        int to = from + event.sourceSize;
        int mask = sources.length - 1;
        int at = hash(event.bytes, from, to) & mask;
        for (; sources[at] != null; at = at + 1 & mask) {
            byte[] name = sources[at].name;
            if (Arrays.equals(name, 0, name.length, event.bytes, from, to))
                return sources[at];
        }
        if (sourceCount * 2 >= sources.length) {
            grow();
            return findSource();
        }
        sourceCount++;
        return sources[at] = new Source(Arrays.copyOfRange(event.bytes, from, to));
    }

    /* Eight bytes at a time; the last eight overlap those before. */
    private static int hash(byte[] bytes, int from, int to) {
        long hash = to - from;
        if (to - from < Long.BYTES) {
            for (int i = from; i < to; i++)
                hash = hash * 31 + bytes[i];
        } else {
            for (int i = from; i < to - Long.BYTES; i += Long.BYTES)
                hash = (hash ^ (long) Event.LONG.get(bytes, i)) * MIX;
            hash = (hash ^ (long) Event.LONG.get(bytes, to - Long.BYTES)) * MIX;
        }
        return (int) (hash >>> 32) ^ (int) hash;
    }

    private void grow() {
        Source[] old = sources;
        sources = new Source[old.length * 2];
        for (Source source : old) {
            if (source == null)
                continue;
            int at = hash(source.name, 0, source.name.length) & sources.length - 1;
            while (sources[at] != null)
                at = at + 1 & sources.length - 1;
            sources[at] = source;
        }
    }

    private Regions.Place findPlace(Source source) {
        int from = event.regionAt;
        int to = from + event.regionSize;
        if (!Arrays.equals(source.region, 0, source.region.length, event.bytes, from, to)) {
            source.region = Arrays.copyOfRange(event.bytes, from, to);
            source.place = regions.find(new String(source.region, StandardCharsets.UTF_8));
        }
        return source.place;
    }

    /* A leaf that is pushed out of latest stays in changed; a second one for the same cell does no
       harm, they are added up when handed on. */
    private Leaf findLeaf(Source source, Regions.Place place) {
        Leaf leaf = source.latest[event.postType];
        if (leaf == null || leaf.hour != event.hour || leaf.place != place) {
            leaf = new Leaf(source, place, event.hour, event.postType);
            source.latest[event.postType] = leaf;
        }
        if (!leaf.isChanged) {
            leaf.isChanged = true;
            changed.add(leaf);
        }
        return leaf;
    }

    // ---- what it adds ----

    private void add(Leaf leaf) {
        long[] v = leaf.values;
        long sign = event.sign;
        long vehicles = event.isOnFoot ? 0 : sign;
        long persons = event.persons * sign;
        v[Columns.CHECKED_GROUPS] += sign;
        v[Columns.CHECKED_VEHICLES] += vehicles;
        v[Columns.CHECKED_PERSON_TIMES] += persons;
        v[event.isInbound ? Columns.ENTERING_PERSON_TIMES : Columns.LEAVING_PERSON_TIMES] +=
            persons;
        for (int i = 0; i < Columns.PART_COUNT; i++)
            v[Columns.PART_FIRST + i] += event.parts[i] * sign;
        if (event.parts[Columns.TURNED_BACK - Columns.PART_FIRST] >= 1)
            v[Columns.TURNED_BACK_VEHICLES] += vehicles;
        if (event.isOutOfProvince)
            v[Columns.OUT_OF_PROVINCE_VEHICLES] += vehicles;
        if (event.waitS != Columns.NONE)
            addWait(v, sign);
        if (sign > 0) { // extremes ignore reversals
            v[Columns.TEMPERATURE_MAX] = Math.max(v[Columns.TEMPERATURE_MAX], event.temperatureMax);
            v[Columns.QUEUE_VEHICLES_MAX] =
                Math.max(v[Columns.QUEUE_VEHICLES_MAX], event.queueVehicles);
        }
    }

    private void addWait(long[] v, long sign) {
        long wait = event.waitS;
        v[Columns.WAIT_TOTAL_S] += wait * sign;
        v[Columns.WAIT_MEASURED_GROUPS] += sign;
        v[Columns.WAITED_WITHIN_5MIN] += wait <= 300 ? sign : 0;
        v[Columns.WAITED_WITHIN_10MIN] += wait <= 600 ? sign : 0;
        v[Columns.WAITED_WITHIN_30MIN] += wait <= 1800 ? sign : 0;
        v[Columns.WAITED_WITHIN_60MIN] += wait <= 3600 ? sign : 0;
    }

    // ---- handing on ----

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) {
        handOn();
    }

    @Override
    public void finish() throws Exception {
        handOn();
        Measure.report(subtask, seen);
        super.finish();
    }

    private void handOn() {
        Map<Key, long[]> cells = new HashMap<>();
        for (Leaf leaf : changed) {
            merge(cells, Level.SOURCE, leaf.source.text, leaf);
            for (int level = Level.TOWN; level <= Level.CITY; level++)
                if (leaf.place.codes()[level] != null)
                    merge(cells, level, leaf.place.codes()[level], leaf);
            Columns.reset(leaf.values);
            leaf.isChanged = false;
        }
        changed.clear();
        cells.forEach((key, values) ->
            output.collect(new StreamRecord<>(Tuple2.of(key, Columns.pack(values)))));
    }

    private static void merge(Map<Key, long[]> cells, int level, String place, Leaf leaf) {
        Columns.merge(cells.computeIfAbsent(new Key(level, place, leaf.hour, leaf.postType),
            key -> Columns.empty()), leaf.values);
    }
}
