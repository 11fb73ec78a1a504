/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;

/** Which cell of which table. Public, with public fields: Flink's rule for what it serializes. */
public final class Key {
    static final TypeInformation<Key> TYPE = Types.POJO(Key.class);

    public int level; // of Level
    public String place; // region or source
    public long hour; // since 1970 UTC
    public int postType;

    public Key() {
    }

    Key(int level, String place, long hour, int postType) {
        this.level = level;
        this.place = place;
        this.hour = hour;
        this.postType = postType;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Key key && level == key.level && hour == key.hour
            && postType == key.postType && place.equals(key.place);
    }

    /** Of values alone: where a key goes must be the same in every JVM. */
    @Override
    public int hashCode() {
        return ((place.hashCode() * 31 + Long.hashCode(hour)) * 31 + postType) * 31 + level;
    }
}
