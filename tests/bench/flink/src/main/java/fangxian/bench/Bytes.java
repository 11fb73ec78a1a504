/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;

/** A message's value as it is. */
final class Bytes extends AbstractDeserializationSchema<byte[]> {
    @Override
    public byte[] deserialize(byte[] message) {
        return message;
    }
}
