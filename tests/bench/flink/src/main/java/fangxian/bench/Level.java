/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

/** The four tables, by number: of towns, counties, the city, and by source. */
final class Level {
    static final int TOWN = 0;
    static final int COUNTY = 1;
    static final int CITY = 2;
    static final int SOURCE = 3;
    static final int COUNT = 4;

    private static final String[] NAMES = {"town", "county", "city", "source"};

    private Level() {
    }

    static String table(int level) {
        return "checkpoint_" + NAMES[level];
    }

    /** The column that names the place. */
    static String column(int level) {
        return level == SOURCE ? "source" : "region";
    }

    static int of(String name) {
        for (int level = TOWN; level <= CITY; level++)
            if (NAMES[level].equals(name))
                return level;
        throw new IllegalArgumentException("no such level: " + name);
    }
}
