/* SPDX-License-Identifier: Apache-2.0 */
package fangxian.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * What the run's one line says. Everything runs in one JVM, so that tasks report here directly.
 * A thread looks at the counters every TICK_MS for the rate over time.
 */
final class Measure {
    private static final int SUBTASKS_MAX = 64;
    private static final int APART = 16; // longs: two cache lines between two counters
    private static final long TICK_MS = 50;
    private static final long WINDOW_MS = 2000;

    private static final AtomicLongArray SEEN = new AtomicLongArray(SUBTASKS_MAX * APART);
    private static final AtomicLong FIRST_FETCH_MS = new AtomicLong();
    private static final AtomicLong LAST_COMMIT_MS = new AtomicLong();
    private static final AtomicLong REJECTED = new AtomicLong();

    private record Sample(long atNs, long events) {
    }

    private static final List<Sample> SAMPLES = new ArrayList<>();
    private static volatile boolean isOver;
    private static Thread sampler;

    private Measure() {
    }

    static void report(int subtask, long seen) {
        if (FIRST_FETCH_MS.get() == 0)
            FIRST_FETCH_MS.compareAndSet(0, System.currentTimeMillis());
        SEEN.lazySet(subtask * APART, seen);
    }

    static void reject() {
        REJECTED.incrementAndGet();
    }

    static void committed() {
        LAST_COMMIT_MS.set(System.currentTimeMillis());
    }

    static long events() {
        long events = 0;
        for (int i = 0; i < SUBTASKS_MAX; i++)
            events += SEEN.get(i * APART);
        return events;
    }

    static long rejected() {
        return REJECTED.get();
    }

    static long firstFetchMs() {
        return FIRST_FETCH_MS.get();
    }

    static long lastCommitMs() {
        return LAST_COMMIT_MS.get();
    }

    static void watch() {
        sampler = new Thread(() -> {
            while (!isOver) {
                SAMPLES.add(new Sample(System.nanoTime(), events()));
                try {
                    Thread.sleep(TICK_MS);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }, "measure");
        sampler.setDaemon(true);
        sampler.start();
    }

    static void endWatch() throws InterruptedException {
        isOver = true;
        sampler.join();
    }

    /** Most events per second over any WINDOW_MS or a tick more; 0 where all were seen in less. */
    static long bestRate() {
        double best = 0;
        for (int from = 0, to = 0; to < SAMPLES.size(); to++) {
            while (from < to && nsBetween(from + 1, to) >= WINDOW_MS * 1_000_000)
                from++;
            long ns = nsBetween(from, to);
            if (ns >= WINDOW_MS * 1_000_000 && SAMPLES.get(from).events > 0)
                best = Math.max(best,
                    (SAMPLES.get(to).events - SAMPLES.get(from).events) * 1e9 / ns);
        }
        return Math.round(best);
    }

    private static long nsBetween(int from, int to) {
        return SAMPLES.get(to).atNs - SAMPLES.get(from).atNs;
    }
}
