// SPDX-License-Identifier: Apache-2.0

// gobench - what one would write by hand in Go, as well as one can, to count checkpoint events: the
// peer that fx-rollup is measured against. Not a part of the system.
//
// It fills the four tables of the rollup "checkpoint" (schemas/checkpoint/checkpoint.rollup.json:
// town, county, city, source; every column, cell for cell what fx-rollup counts) from a topic of
// schemas/checkpoint/1.avsc, and keeps the position of each partition in the same transaction, by
// a compare-and-set: each message counts once, whatever is killed when. What it leaves out is what
// fx-rollup does beyond that: the numbers of each source (a copy sent twice counts twice, what is
// missing goes unseen), bounds, sums and keys of events, heartbeats, rejected events, a group that
// shares the partitions out, new schema versions and columns without new code. Its tables have their
// primary key alone and pages filled to 70 %; fx-rollup's have two more indexes, for the questions of
// analysts, and pages filled to 45 %, so that updates stay in their page while analysts read.
//
// What makes it fast, each measured:
//   - franz-go with direct assignment; its records and decompressed batches come from a pool and
//     are recycled, which saves a sixth of the time from fetched bytes to figures;
//   - a decoder written out for this schema, eight bytes at a time, without allocation; a table of
//     its own instead of a map for the names of sources;
//   - one cell per event (source, region, hour, post type; a number as key, a row of int64), and
//     the levels derived from the cells at the flush, not at the event;
//   - a flush each second, in the background, into other memory than counting goes on in: unnest
//     arrays in PostgreSQL's binary format, written without reflection, all tables and positions in
//     one pipeline with one sync, which is one transaction and one round trip.
//
// With -workers 2, each has a client, half the partitions and a connection of its own; they share
// nothing. A profile of the whole (-profile) is two thirds franz-go, runtime and system calls.
//
// GOMAXPROCS is Go's own default, all cores the process may use: the client, the counting and the
// flush each want one. GOGC is 400 unless the environment sets it: at 50 the collector took a third
// of the time, from 100 on it is hardly seen; 400 keeps it out of the comparison, for 100 MB.
//
// It needs Go 1.26, which franz-go 1.22 asks for; Debian 12 has 1.19. Where there is none the
// benchmark goes without this peer. PostgreSQL is found by PGHOST and the other variables of libpq.
//
// One line on stdout, like those of the other consumers:
//
//	{"events":N,"first_fetch_ms":EPOCH,"last_commit_ms":EPOCH}
//
// first_fetch_ms is when the first messages were there. Messages that did not count are told on
// stderr; what did is in the tables.
//
// Exit status: 0 done, 1 failed (run it again, it goes on from its positions), 2 usage.
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
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const gcPercent = 400

type options struct {
	brokers, topic, schema, regions string
	partitions, workers, fetchKiB   int
	untilEnd                        bool
	profile                         string
}

type result struct {
	Events       int64 `json:"events"`
	FirstFetchMs int64 `json:"first_fetch_ms"`
	LastCommitMs int64 `json:"last_commit_ms"`
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
	flag.IntVar(&o.fetchKiB, "fetch-kib", 1024, "most KiB per partition and fetch")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile for go tool pprof to this file")
	flag.Parse()
	if o.topic == "" || o.schema == "" || flag.NArg() > 0 || o.partitions < 1 || o.workers < 1 ||
		o.workers > o.partitions || o.fetchKiB < 1 || o.fetchKiB > 1<<16 {
		fmt.Fprintln(os.Stderr, "gobench: -topic, -schema and at least as many -partitions as -workers,"+
			" please; see -help")
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
	return report(workers)
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
	w := &worker{tree: tree, untilEnd: o.untilEnd}
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

func report(workers []*worker) error {
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
	return json.NewEncoder(os.Stdout).Encode(r)
}
