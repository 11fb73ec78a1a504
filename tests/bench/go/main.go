// SPDX-License-Identifier: Apache-2.0

// gobench - HEADER
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type options struct {
	brokers, topic, schema, regions string
	partitions, workers             int
	untilEnd                        bool
	profile                         string
}

type result struct {
	Events       int64   `json:"events"`
	FirstFetchMs int64   `json:"first_fetch_ms"`
	LastCommitMs int64   `json:"last_commit_ms"`
	CPUSeconds   float64 `json:"cpu_s"`
	VMHWMKb      int64   `json:"vm_hwm_kb"`
	PersonTimes  int64   `json:"person_times"`
}

func main() {
	var o options
	flag.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "Kafka's bootstrap servers, by commas")
	flag.StringVar(&o.topic, "topic", "", "topic of checkpoint events")
	flag.IntVar(&o.partitions, "partitions", 8, "its partitions")
	flag.IntVar(&o.workers, "workers", 1, "goroutines, each with a client and a connection of its own")
	flag.StringVar(&o.schema, "schema", "", "PostgreSQL schema, made if it is missing")
	flag.StringVar(&o.regions, "regions", "schemas/regions.csv", "the tree of places")
	flag.BoolVar(&o.untilEnd, "until-end", false, "end when all that lies in Kafka now is committed")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile for go tool pprof to this file")
	flag.Parse()
	if o.topic == "" || o.schema == "" || flag.NArg() > 0 || o.partitions < 1 || o.workers < 1 ||
		o.workers > o.partitions {
		fmt.Fprintln(os.Stderr, "gobench: -topic and -schema are wanted, and as many -partitions as -workers")
		os.Exit(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "gobench:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tree, err := loadRegions(o.regions)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, o.schema)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if err = createTables(ctx, conn, o.schema); err != nil {
		return err
	}
	parts, err := claim(ctx, conn, o)
	if err != nil {
		return err
	}
	stopProfile, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	workers, err := work(ctx, o, tree, parts)
	if err = errors.Join(err, stopProfile()); err != nil {
		return err
	}
	return report(conn, workers)
}

func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err = pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// claim finds where each partition goes on and, for -until-end, where it ends now.
func claim(ctx context.Context, conn *pgx.Conn, o *options) ([]part, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(o.brokers, ",")...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, o.topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, o.topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, err
	}
	if n := len(ends[o.topic]); n != o.partitions {
		return nil, fmt.Errorf("%s has %d partitions, not %d", o.topic, n, o.partitions)
	}
	first := make([]int64, o.partitions)
	for i := range first {
		first[i] = starts[o.topic][int32(i)].Offset
	}
	next, err := positions(ctx, conn, o.topic, first)
	if err != nil {
		return nil, err
	}
	parts := make([]part, o.partitions)
	for i := range parts {
		parts[i] = part{committed: next[i], next: next[i], end: ends[o.topic][int32(i)].Offset}
	}
	return parts, nil
}

// work runs the workers until all have ended; the first that fails stops the others.
func work(ctx context.Context, o *options, tree *regions, parts []part) ([]*worker, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := make([]*worker, o.workers)
	for n := range workers {
		w, err := openWorker(ctx, o, tree, parts, n)
		if err != nil {
			return nil, err
		}
		defer w.client.Close()
		defer w.store.conn.Close(context.Background())
		workers[n] = w
	}
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			if err := w.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	return workers, nil
}

// openWorker gives worker n its share of the partitions: every o.workers-th.
func openWorker(ctx context.Context, o *options, tree *regions, parts []part, n int) (*worker, error) {
	w := &worker{topic: o.topic, tree: tree, untilEnd: o.untilEnd}
	w.parts = append(w.parts, parts...)
	offsets := make(map[int32]kgo.Offset)
	for i := n; i < len(parts); i += o.workers {
		w.parts[i].mine = true
		offsets[int32(i)] = kgo.NewOffset().At(parts[i].next)
	}
	var err error
	if w.store, err = openStore(ctx, o.schema, o.topic, tree); err != nil {
		return nil, err
	}
	w.client, err = kgo.NewClient(clientOptions(o, offsets)...)
	return w, err
}

func report(conn *pgx.Conn, workers []*worker) error {
	var r result
	for _, w := range workers {
		w.tell()
		r.Events += w.events
		if first := w.firstFetch; !first.IsZero() && (r.FirstFetchMs == 0 || first.UnixMilli() < r.FirstFetchMs) {
			r.FirstFetchMs = first.UnixMilli()
		}
		if last := w.lastCommit; !last.IsZero() {
			r.LastCommitMs = max(r.LastCommitMs, last.UnixMilli())
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	r.CPUSeconds = float64(cpu.Milliseconds()) / 1000
	var err error
	if r.VMHWMKb, err = peakMemory(); err != nil {
		return err
	}
	err = conn.QueryRow(context.Background(),
		"SELECT coalesce(sum(checked_person_times), 0)::bigint FROM checkpoint_city").Scan(&r.PersonTimes)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "VmHWM:" {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
