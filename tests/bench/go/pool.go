// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pool lends the client the memory of records and of decompressed batches, so that neither is
// allocated, zeroed and collected for every batch. The client gives back a batch's memory when the
// last of its records is recycled.
type pool struct {
	mutex   sync.Mutex
	records [][]kgo.Record
	bytes   [][]byte
}

func (p *pool) GetRecords(n int) []kgo.Record {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i := len(p.records) - 1; i >= 0; i-- {
		if one := p.records[i]; cap(one) >= n {
			last := len(p.records) - 1
			p.records[i] = p.records[last]
			p.records = p.records[:last]
			return one
		}
	}
	return make([]kgo.Record, n, n+n/8)
}

func (p *pool) PutRecords(one []kgo.Record) {
	p.mutex.Lock()
	p.records = append(p.records, one)
	p.mutex.Unlock()
}

func (p *pool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if last := len(p.bytes) - 1; last >= 0 {
		one := p.bytes[last]
		p.bytes = p.bytes[:last]
		return one
	}
	return make([]byte, 0, 4*len(compressed))
}

func (p *pool) PutDecompressBytes(one []byte) {
	p.mutex.Lock()
	p.bytes = append(p.bytes, one)
	p.mutex.Unlock()
}
