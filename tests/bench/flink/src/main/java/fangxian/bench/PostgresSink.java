/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.io.IOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.postgresql.PGConnection;

/**
 * Upserts the totals of each checkpoint in one transaction, one statement per table. Totals are
 * absolute: written a second time after a restart they change nothing. Rows go as one array per
 * column, in binary: a third of the time that a batch of single rows takes; where a checkpoint has
 * very many they go in several statements, so that no memory grows with what waits.
 */
final class PostgresSink implements Sink<Tuple2<Key, long[]>> {
    private final String url;
    private final String schema;

    PostgresSink(String url, String schema) {
        this.url = url;
        this.schema = schema;
    }

    /** Tables that are there already are an error: their rows would be taken for this run's. */
    void createTables() throws SQLException {
        try (Connection connection = DriverManager.getConnection(url);
            Statement statement = connection.createStatement()) {
            statement.execute("CREATE SCHEMA IF NOT EXISTS " + schema);
            for (int level = 0; level < Level.COUNT; level++)
                statement.execute("CREATE TABLE " + schema + "." + Level.table(level) + " ("
                    + Level.column(level) + " text COLLATE \"C\", bucket_start timestamptz, "
                    + "post_type text COLLATE \"C\", "
                    + columns(i -> name(i) + " bigint" + (Columns.isMax(i) ? "" : " NOT NULL"))
                    + ", PRIMARY KEY (" + key(level) + ")) WITH (fillfactor = 85)");
        }
    }

    @Override
    public SinkWriter<Tuple2<Key, long[]>> createWriter(WriterInitContext context)
        throws IOException {
        try {
            return new Writer(url, schema);
        } catch (SQLException e) {
            throw new IOException(e);
        }
    }

    private static String name(int column) {
        return Columns.NAMES.get(column);
    }

    private static String key(int level) {
        return Level.column(level) + ", bucket_start, post_type";
    }

    private static String columns(IntFunction<String> each) {
        return IntStream.range(0, Columns.COUNT).mapToObj(each).collect(Collectors.joining(", "));
    }

    private static String upsert(String schema, int level) {
        return "INSERT INTO " + schema + "." + Level.table(level) + " (" + key(level) + ", "
            + columns(PostgresSink::name) + ") SELECT place, to_timestamp(hour * 3600), post_type, "
            + columns(i -> Columns.isMax(i) ? "nullif(" + name(i) + ", -1)" : name(i))
            + " FROM unnest(?::text[], ?::bigint[], ?::text[], " + columns(i -> "?::bigint[]")
            + ") AS r (place, hour, post_type, " + columns(PostgresSink::name) + ") ON CONFLICT ("
            + key(level) + ") DO UPDATE SET " + columns(i -> name(i) + " = excluded." + name(i));
    }

    private static final class Writer implements SinkWriter<Tuple2<Key, long[]>> {
        private final Connection connection;
        private final PreparedStatement[] upserts = new PreparedStatement[Level.COUNT];
        private final List<Map<Key, long[]>> rows = new ArrayList<>(); // the latest of each cell
        private boolean isChanged;

        Writer(String url, String schema) throws SQLException {
            connection = DriverManager.getConnection(url);
            connection.setAutoCommit(false);
            for (int level = 0; level < Level.COUNT; level++) {
                upserts[level] = connection.prepareStatement(upsert(schema, level));
                rows.add(new HashMap<>());
            }
        }

        @Override
        public void write(Tuple2<Key, long[]> row, Context context) throws IOException {
            Map<Key, long[]> batch = rows.get(row.f0.level);
            batch.put(row.f0, row.f1);
            if (batch.size() < Columns.CELLS_MAX)
                return;
            try {
                flushTable(row.f0.level);
            } catch (SQLException e) {
                throw new IOException(e);
            }
        }

        @Override
        public void flush(boolean isEnd) throws IOException {
            try {
                for (int level = 0; level < Level.COUNT; level++)
                    flushTable(level);
                if (isChanged) {
                    isChanged = false;
                    connection.commit();
                    Measure.committed();
                }
            } catch (SQLException e) {
                throw new IOException(e);
            }
        }

        private void flushTable(int level) throws SQLException {
            Map<Key, long[]> batch = rows.get(level);
            int count = batch.size();
            if (count == 0)
                return;
            String[] places = new String[count];
            long[] hours = new long[count];
            String[] postTypes = new String[count];
            long[][] values = new long[Columns.COUNT][count];
            int i = 0;
            for (Map.Entry<Key, long[]> row : batch.entrySet()) {
                Key key = row.getKey();
                places[i] = key.place;
                hours[i] = key.hour;
                postTypes[i] = Columns.POST_TYPES[key.postType];
                for (int column = 0; column < Columns.COUNT; column++)
                    values[column][i] = row.getValue()[column];
                i++;
            }
            PGConnection pg = connection.unwrap(PGConnection.class);
            PreparedStatement statement = upserts[level];
            statement.setArray(1, pg.createArrayOf("text", places));
            statement.setArray(2, pg.createArrayOf("int8", hours));
            statement.setArray(3, pg.createArrayOf("text", postTypes));
            for (int column = 0; column < Columns.COUNT; column++)
                statement.setArray(4 + column, pg.createArrayOf("int8", values[column]));
            statement.executeUpdate();
            batch.clear();
            isChanged = true;
        }

        @Override
        public void close() throws SQLException {
            connection.close();
        }
    }
}
