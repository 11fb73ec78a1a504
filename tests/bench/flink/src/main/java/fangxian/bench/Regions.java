/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The tree of schemas/regions.csv: for each place the codes it counts at, itself and above. */
final class Regions implements Serializable {
    /** A place with its code per level of Level.TOWN to CITY, null where it is above that level. */
    record Place(String code, String[] codes) implements Serializable {
    }

    private final Map<String, Place> places = new HashMap<>();

    /** No field of the file is quoted. */
    Regions(Path path) throws IOException {
        List<String> lines = Files.readAllLines(path, StandardCharsets.UTF_8);
        if (lines.isEmpty() || !lines.get(0).startsWith("code,name,name_latin,level,parent"))
            throw new IOException(path + ": not a file of regions");
        Map<String, String[]> rows = new HashMap<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] row = line.split(",", -1);
            if (row.length < 5 || line.indexOf('"') >= 0)
                throw new IOException(path + ": cannot read " + line);
            rows.put(row[0], row);
        }
        for (String code : rows.keySet())
            places.put(code, new Place(code, ancestors(rows, code)));
    }

    private static String[] ancestors(Map<String, String[]> rows, String code) throws IOException {
        String[] codes = new String[Level.CITY + 1];
        for (String at = code; !at.isEmpty(); at = rows.get(at)[4]) {
            if (!rows.containsKey(at))
                throw new IOException("region " + code + ": no parent " + at);
            codes[Level.of(rows.get(at)[3])] = at;
        }
        return codes;
    }

    /** null for a code that is not in the tree: the event is rejected. */
    Place find(String code) {
        return places.get(code);
    }
}
