/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.FileUtils;
import org.apache.kafka.common.TopicPartition;

/**
 * A topic of checkpoint events counted by Flink, as well as we know how: the peer that fx-rollup is
 * measured against. All of a rollup's columns, by town, county, city and by source.
 *
 *   Kafka source -> Preaggregate (parallelism 2, one task) => by cell => Totals -> PostgreSQL
 *
 * Exactly-once checkpoints every second to files, totals in keyed state, upserted in one
 * transaction per checkpoint. The last stage is one task: it gets some ten thousand cells a second at most, and
 * so the four tables agree at every moment. What is given away against fx-rollup, each to the job's
 * advantage: a number sent twice by a device is counted twice, none that is missing is noticed,
 * values are not held against the schema's bounds and sums, rejected events are only tallied, the
 * clock rule is not applied, and the tables have no index but their key (fx-rollup's have two more,
 * and pages filled to 45 %, not 85).
 *
 * Two levers that matter: objects are reused (no copy between chained operators), and no event is
 * handed from task to task. A message's value goes as it is to Preaggregate, in the same call.
 *
 * Ends with one line of JSON on stdout. events: messages seen; warm_events_per_s: the best rate
 * over 2 s, once the JVM has compiled what is hot (0 if all took less). Messages that did not count
 * are told on stderr; what did is in the tables.
 */
public final class Job {
    private static final String USAGE = "usage: run --brokers HOST:PORT --topic TOPIC "
        + "--regions FILE --jdbc URL --schema NAME [--partitions N] [--until-end]\n"
        + "  --partitions   how many the topic has (8)\n"
        + "  --until-end    end at what the topic has now; else go on until killed";
    private static final Set<String> NAMES =
        Set.of("brokers", "topic", "partitions", "regions", "jdbc", "schema");
    private static final int PARALLELISM = 2;

    private static final TypeInformation<byte[]> BYTES =
        PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final TypeInformation<long[]> VALUES =
        PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO;

    private Job() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = parse(args);
        PostgresSink sink = new PostgresSink(options.get("jdbc"), options.get("schema"));
        sink.createTables();
        Path checkpoints = Files.createTempDirectory("fangxian-flink-");
        try {
            StreamExecutionEnvironment env = environment(checkpoints);
            build(env, options, sink);
            Measure.watch();
            env.execute("checkpoint");
            Measure.endWatch();
        } finally {
            FileUtils.deleteDirectoryQuietly(checkpoints.toFile()); // Flink may be at it too
        }
        print();
    }

    // ---- options ----

    private static Map<String, String> parse(String[] args) {
        Map<String, String> options = new HashMap<>(Map.of("partitions", "8"));
        for (int i = 0; i < args.length; i++) {
            String name = args[i].startsWith("--") ? args[i].substring(2) : "";
            if (name.equals("until-end"))
                options.put(name, "");
            else if (NAMES.contains(name) && i + 1 < args.length)
                options.put(name, args[++i]);
            else
                fail("cannot read " + args[i]);
        }
        for (String name : NAMES)
            if (!options.containsKey(name))
                fail("--" + name + " is missing");
        if (!options.get("schema").matches("[a-z_][a-z0-9_]*"))
            fail("--schema: not a plain name");
        return options;
    }

    private static void fail(String why) {
        System.err.println("flink: " + why + "\n" + USAGE);
        System.exit(2);
    }

    // ---- the job ----

    private static StreamExecutionEnvironment environment(Path checkpoints) {
        Configuration conf = new Configuration();
        conf.set(PipelineOptions.OBJECT_REUSE, true);
        conf.set(PipelineOptions.GENERIC_TYPES, false);
        conf.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(1));
        conf.set(CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE,
            CheckpointingMode.EXACTLY_ONCE);
        conf.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        conf.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, checkpoints.toUri().toString());
        conf.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        // a run that failed is no measurement: what it saw twice would be in the counters
        conf.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        conf.set(RestOptions.BIND_ADDRESS, "127.0.0.1");
        conf.set(RestOptions.BIND_PORT, "0");
        conf.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(8));
        conf.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(16));
        conf.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(16));
        return StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, conf);
    }

    private static void build(StreamExecutionEnvironment env, Map<String, String> options,
        PostgresSink sink) throws Exception {
        DataStream<byte[]> messages = env.fromSource(source(options),
            WatermarkStrategy.noWatermarks(), "kafka", BYTES);
        messages
            .transform("preaggregate", Types.TUPLE(Key.TYPE, BYTES),
                new Preaggregate(new Regions(Path.of(options.get("regions")))))
            .keyBy(cell -> cell.f0, Key.TYPE)
            .transform("totals", Types.TUPLE(Key.TYPE, VALUES), new Totals())
            .setParallelism(1)
            .sinkTo(sink)
            .setParallelism(1);
    }

    private static KafkaSource<byte[]> source(Map<String, String> options) {
        Set<TopicPartition> partitions = new HashSet<>();
        for (int i = 0; i < Integer.parseInt(options.get("partitions")); i++)
            partitions.add(new TopicPartition(options.get("topic"), i));
        var builder = KafkaSource.<byte[]>builder()
            .setBootstrapServers(options.get("brokers"))
            .setPartitions(partitions)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(KafkaRecordDeserializationSchema.valueOnly(new Bytes()))
            .setProperty("commit.offsets.on.checkpoint", "false")
            .setProperty("max.poll.records", "5000")
            .setProperty("receive.buffer.bytes", "1048576");
        if (options.containsKey("until-end"))
            builder.setBounded(OffsetsInitializer.latest());
        return builder.build();
    }

    // ---- the result ----

    private static void print() {
        if (Measure.rejected() > 0)
            System.err.println("flink: rejected=" + Measure.rejected());
        System.out.printf(Locale.ROOT, "{\"events\":%d,\"first_fetch_ms\":%d,\"last_commit_ms\":%d,"
                + "\"warm_events_per_s\":%d}%n",
            Measure.events(), Measure.firstFetchMs(), Measure.lastCommitMs(), Measure.bestRate());
    }
}
