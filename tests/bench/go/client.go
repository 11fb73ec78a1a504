// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const gcPercent = 400

func clientOptions(o *options, offsets map[int32]kgo.Offset) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{o.topic: offsets}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartBytes),
		kgo.DisableClientMetrics(),
		kgo.WithPools(new(pool)),
	}
}
