/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Keeps the total of every cell in keyed state, for ever, for an event may be as late as it likes.
 * What comes in between two barriers is added up first, so that a cell's state is read and written
 * once per checkpoint, and its new total goes to the sink once.
 */
final class Totals extends AbstractStreamOperator<Tuple2<Key, long[]>>
    implements OneInputStreamOperator<Tuple2<Key, byte[]>, Tuple2<Key, long[]>> {
    private transient Map<Key, long[]> changed;
    private transient ValueState<byte[]> total;

    @Override
    public void open() throws Exception {
        super.open();
        changed = new HashMap<>();
        total = getPartitionedState(new ValueStateDescriptor<>("total",
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
    }

    @Override
    public void processElement(StreamRecord<Tuple2<Key, byte[]>> element) throws Exception {
        long[] more = Columns.unpack(element.getValue().f1);
        long[] values = changed.putIfAbsent(element.getValue().f0, more);
        if (values != null)
            Columns.merge(values, more);
        if (changed.size() >= Columns.CELLS_MAX)
            handOn();
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        handOn();
    }

    @Override
    public void finish() throws Exception {
        handOn();
        super.finish();
    }

    private void handOn() throws Exception {
        for (Map.Entry<Key, long[]> entry : changed.entrySet()) {
            setCurrentKey(entry.getKey());
            byte[] old = total.value();
            if (old != null)
                Columns.merge(entry.getValue(), Columns.unpack(old));
            total.update(Columns.pack(entry.getValue()));
            output.collect(new StreamRecord<>(Tuple2.of(entry.getKey(), entry.getValue())));
        }
        changed.clear();
    }
}
