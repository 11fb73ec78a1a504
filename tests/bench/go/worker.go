// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	flushEvery   = time.Second
	pollMin      = 10 * time.Millisecond
	cellsFlush   = 20000         // as many are flushed although the second is not over
	cellsMax     = 200000        // as many wait for the flush that is under way
	clockAheadMs = 600000        // a device's clock is believed so far ahead of Kafka's
	notBeforeMs  = 1577836800000 // 2020-01-01: nor before that
	msPerHour    = 3600 * 1000
)

func clientOptions(o *options, offsets map[int32]kgo.Offset) []kgo.Opt {
	partitionBytes := int32(o.fetchKiB) << 10
	return []kgo.Opt{
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{o.topic: offsets}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // lost records are an error, not a jump
		kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.FetchMaxBytes(partitionBytes * int32(len(offsets))),
		kgo.WithPools(new(pool)),
		kgo.DisableClientMetrics(),
	}
}

// batch is what a transaction writes.
type batch struct {
	cells   cells
	moves   []move
	sources []string // names that the keys' numbers stand for
}

type move struct {
	partition int32
	old, next int64
}

// part is a partition of this worker.
type part struct {
	mine      bool
	committed int64 // in the batch that was sent last
	next      int64
	end       int64 // with -until-end
}

// A source's number, and the region it named last: few ever name another.
type source struct {
	regionCode string
	region     uint32
}

type worker struct {
	tree       *regions
	client     *kgo.Client
	store      *store
	parts      []part
	untilEnd   bool
	names      *names
	sources    []source
	batch      *batch
	spare      *batch
	inFlight   bool
	flush      chan *batch
	flushed    chan error
	lastFlush  time.Time
	event      event
	events     int64
	others     int64 // heartbeats
	refused    int64 // malformed, or of an unknown region
	firstFetch time.Time
	lastCommit time.Time
}

func (w *worker) run(ctx context.Context) error {
	w.names = newNames()
	w.batch, w.spare = &batch{cells: *newCells()}, &batch{cells: *newCells()}
	w.flush, w.flushed = make(chan *batch), make(chan error, 1)
	go func() {
		for b := range w.flush {
			err := w.store.commit(context.Background(), b, b.sources)
			w.lastCommit = time.Now()
			w.flushed <- err
		}
	}()
	defer close(w.flush)
	w.lastFlush = time.Now()
	for !w.isAtEnd() && ctx.Err() == nil {
		if err := w.poll(ctx); err != nil {
			return err
		}
		if err := w.maybeFlush(); err != nil {
			return err
		}
	}
	if err := w.wait(); err != nil {
		return err
	}
	w.start()
	return w.wait()
}

func (w *worker) isAtEnd() bool {
	for i := range w.parts {
		if p := &w.parts[i]; p.mine && (!w.untilEnd || p.next < p.end) {
			return false
		}
	}
	return true
}

// poll counts what the client has fetched, or waits for it until a flush is due or may have ended.
func (w *worker) poll(ctx context.Context) error {
	wait := time.Until(w.lastFlush.Add(flushEvery))
	due, cancel := context.WithTimeout(ctx, max(wait, pollMin))
	fetches := w.client.PollFetches(due)
	cancel()
	for _, fetch := range fetches {
		for _, topic := range fetch.Topics {
			for i := range topic.Partitions {
				p := &topic.Partitions[i]
				if errors.Is(p.Err, context.DeadlineExceeded) || errors.Is(p.Err, context.Canceled) {
					continue // nothing came until a flush was due, or the end is wished for
				}
				if p.Err != nil {
					return fmt.Errorf("%s/%d: %w", topic.Topic, p.Partition, p.Err)
				}
				if err := w.count(p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *worker) count(p *kgo.FetchPartition) error {
	if len(p.Records) == 0 {
		return nil
	}
	if w.firstFetch.IsZero() {
		w.firstFetch = time.Now()
	}
	at := &w.parts[p.Partition]
	if first := p.Records[0].Offset; first < at.next {
		return fmt.Errorf("partition %d goes back from %d to %d", p.Partition, at.next, first)
	}
	next := p.Records[len(p.Records)-1].Offset + 1
	for _, record := range p.Records {
		w.take(record)
		record.Recycle()
	}
	at.next = next
	return nil
}

// take counts one record. An event with a wrong clock counts when Kafka took it; a reversal counts
// when it says that the original did.
func (w *worker) take(record *kgo.Record) {
	e := &w.event
	if err := e.decode(record.Value); err != nil {
		if err == errOther {
			w.others++
		} else {
			w.refused++
		}
		return
	}
	if e.sign > 0 {
		appended := record.Timestamp.UnixMilli()
		if e.countedMs > appended+clockAheadMs || e.countedMs < notBeforeMs {
			e.countedMs = appended
		}
	}
	hour := e.countedMs / msPerHour
	id, isNew := w.names.find(e.source)
	if isNew {
		w.sources = append(w.sources, source{})
	}
	s := &w.sources[id]
	if string(e.region) != s.regionCode {
		region, ok := w.tree.index[string(e.region)]
		if !ok {
			w.refused++
			return
		}
		s.region, s.regionCode = region, w.tree.codes[region]
	}
	if uint64(hour) >= 1<<hourBits || id >= 1<<sourceBits {
		w.refused++
		return
	}
	w.batch.cells.find(keyOf(id, s.region, hour, e.fields[fieldPostType])).add(e)
	w.events++
}

// maybeFlush sends the batch off when its second is over or it is large. Counting goes on in the
// other one meanwhile; only where that too is full it waits.
func (w *worker) maybeFlush() error {
	if w.inFlight {
		select {
		case err := <-w.flushed:
			w.settle()
			if err != nil {
				return err
			}
		default:
		}
	}
	count := w.batch.cells.len()
	if count < cellsFlush && time.Since(w.lastFlush) < flushEvery {
		return nil
	}
	if w.inFlight {
		if count < cellsMax {
			return nil
		}
		if err := w.wait(); err != nil {
			return err
		}
	}
	w.start()
	return nil
}

// start hands the batch over, with the positions up to which it counts.
func (w *worker) start() {
	w.lastFlush = time.Now()
	b := w.batch
	b.moves = b.moves[:0]
	for i := range w.parts {
		if p := &w.parts[i]; p.mine && p.next != p.committed {
			b.moves = append(b.moves, move{int32(i), p.committed, p.next})
			p.committed = p.next
		}
	}
	if len(b.moves) == 0 {
		return
	}
	b.sources = w.names.names
	w.batch, w.spare = w.spare, b
	w.inFlight = true
	w.flush <- b
}

func (w *worker) wait() error {
	if !w.inFlight {
		return nil
	}
	err := <-w.flushed
	w.settle()
	return err
}

func (w *worker) settle() {
	w.inFlight = false
	w.spare.cells.reset()
}

func (w *worker) tell() {
	if w.refused > 0 || w.others > 0 {
		fmt.Fprintf(os.Stderr, "gobench: others=%d refused=%d\n", w.others, w.refused)
	}
}
