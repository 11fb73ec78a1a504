// SPDX-License-Identifier: Apache-2.0

package main

import "math"

// The columns of the rollup, in the order of its definition.
const (
	checkedGroups = iota
	checkedVehicles
	checkedPersonTimes
	enteringPersonTimes
	leavingPersonTimes
	codeGreenPersonTimes      // the first of 17 parts
	temperatureMax       = 22 // decicelsius; a maximum
	turnedBackVehicles   = 23
	outOfProvinceVehicle = 24
	queueVehiclesMax     = 25 // a maximum
	waitTotalS           = 26
	waitMeasuredGroups   = 27
	waitedWithin5min     = 28
	waitedWithin10min    = 29
	waitedWithin30min    = 30
	waitedWithin60min    = 31
	columnCount          = 32
)

var columns = [columnCount]string{
	"checked_groups", "checked_vehicles", "checked_person_times", "entering_person_times",
	"leaving_person_times", "code_green_person_times", "code_yellow_person_times",
	"code_red_person_times", "code_none_person_times", "code_unchecked_person_times",
	"itinerary_clear_person_times", "itinerary_star_person_times", "itinerary_risk_person_times",
	"itinerary_none_person_times", "itinerary_unchecked_person_times",
	"temperature_taken_person_times", "temperature_high_person_times", "passed_person_times",
	"passed_after_sample_person_times", "turned_back_person_times", "held_fever_person_times",
	"to_quarantine_person_times", "temperature_decicelsius_max", "turned_back_vehicles",
	"out_of_province_vehicles", "queue_vehicles_max", "wait_total_s", "wait_measured_groups",
	"waited_within_5min_groups", "waited_within_10min_groups", "waited_within_30min_groups",
	"waited_within_60min_groups",
}

func isMax(column int) bool { return column == temperatureMax || column == queueVehiclesMax }

// none is a maximum without a value: NULL.
const none = math.MinInt64

type cell [columnCount]int64

var emptyCell = cell{temperatureMax: none, queueVehiclesMax: none}

// add counts an event.
func (c *cell) add(e *event) {
	s := e.sign
	f := &e.fields
	persons := s * f[fieldPersons]
	out := f[fieldDirection] // 0 or 1
	c[checkedGroups] += s
	c[checkedPersonTimes] += persons
	c[enteringPersonTimes] += persons & (out - 1)
	c[leavingPersonTimes] += persons & -out
	sums := (*[partCount]int64)(c[codeGreenPersonTimes:])
	if p := e.small; p != nil {
		// 17 parts, written out: the compiler unrolls no loop
		sums[0] += s * int64(p[fieldCodeGreen+0]>>1)
		sums[1] += s * int64(p[fieldCodeGreen+1]>>1)
		sums[2] += s * int64(p[fieldCodeGreen+2]>>1)
		sums[3] += s * int64(p[fieldCodeGreen+3]>>1)
		sums[4] += s * int64(p[fieldCodeGreen+4]>>1)
		sums[5] += s * int64(p[fieldCodeGreen+5]>>1)
		sums[6] += s * int64(p[fieldCodeGreen+6]>>1)
		sums[7] += s * int64(p[fieldCodeGreen+7]>>1)
		sums[8] += s * int64(p[fieldCodeGreen+8]>>1)
		sums[9] += s * int64(p[fieldCodeGreen+9]>>1)
		sums[10] += s * int64(p[fieldCodeGreen+10]>>1)
		sums[11] += s * int64(p[fieldCodeGreen+11]>>1)
		sums[12] += s * int64(p[fieldCodeGreen+12]>>1)
		sums[13] += s * int64(p[fieldCodeGreen+13]>>1)
		sums[14] += s * int64(p[fieldCodeGreen+14]>>1)
		sums[15] += s * int64(p[fieldCodeGreen+15]>>1)
		sums[16] += s * int64(p[fieldCodeGreen+16]>>1)
	} else {
		for i := range sums {
			sums[i] += s * f[fieldCodeGreen+i]
		}
	}
	if f[fieldVehicle] != vehicleOnFoot {
		c[checkedVehicles] += s
		if f[fieldTurnedBack] > 0 {
			c[turnedBackVehicles] += s
		}
		if f[fieldPlateScope] == plateOutProvince {
			c[outOfProvinceVehicle] += s
		}
	}
	if s > 0 { // an extreme cannot be undone
		if e.temperatureMax != noValue {
			c[temperatureMax] = max(c[temperatureMax], e.temperatureMax)
		}
		if e.queueVehicles != noValue {
			c[queueVehiclesMax] = max(c[queueVehiclesMax], e.queueVehicles)
		}
	}
	if w := e.waitS; w != noValue {
		c[waitTotalS] += s * w
		c[waitMeasuredGroups] += s
		c[waitedWithin5min] += s & ((w - 301) >> 63)
		c[waitedWithin10min] += s & ((w - 601) >> 63)
		c[waitedWithin30min] += s & ((w - 1801) >> 63)
		c[waitedWithin60min] += s & ((w - 3601) >> 63)
	}
}

func (c *cell) merge(from *cell) {
	warmest := max(c[temperatureMax], from[temperatureMax])
	longest := max(c[queueVehiclesMax], from[queueVehiclesMax])
	for i := range c {
		c[i] += from[i]
	}
	c[temperatureMax], c[queueVehiclesMax] = warmest, longest
}

// A cell's key is one number: source, region, hour since 1970, post type. A table of one level
// leaves source or region 0.
const (
	postBits, hourBits, regionBits, sourceBits = 3, 21, 12, 24
	hourShift                                  = postBits
	regionShift                                = hourShift + hourBits
	sourceShift                                = regionShift + regionBits
	isUsed                                     = 1 << 63 // so that no key is 0
)

type key uint64

func keyOf(source, region uint32, hour, post int64) key {
	return key(isUsed | uint64(source)<<sourceShift | uint64(region)<<regionShift |
		uint64(hour)<<hourShift | uint64(post))
}

func (k key) source() uint32 { return uint32(k>>sourceShift) & (1<<sourceBits - 1) }
func (k key) region() uint32 { return uint32(k>>regionShift) & (1<<regionBits - 1) }
func (k key) hour() int64    { return int64(k>>hourShift) & (1<<hourBits - 1) }
func (k key) post() int      { return int(k & (1<<postBits - 1)) }

// cells is a hash table with open addressing from keys to cells, which lie in a row. What it once
// grew to it keeps.
type cells struct {
	slots []slot // a power of two, at most half of them used
	keys  []key
	cells []cell
}

type slot struct {
	key  key
	cell int32
}

func newCells() *cells { return &cells{slots: make([]slot, 1<<12)} }

func (t *cells) len() int { return len(t.keys) }

func (t *cells) reset() {
	clear(t.slots)
	t.keys, t.cells = t.keys[:0], t.cells[:0]
}

// find gives the cell of k, an empty one if it is new. Good until the next find.
func (t *cells) find(k key) *cell {
	mask := uint64(len(t.slots) - 1)
	for i := hash(k); ; i++ {
		s := &t.slots[i&mask]
		if s.key == k {
			return &t.cells[s.cell]
		}
		if s.key == 0 {
			return t.insert(k)
		}
	}
}

func (t *cells) insert(k key) *cell {
	if 2*len(t.keys) >= len(t.slots) {
		t.slots = make([]slot, 2*len(t.slots))
		for i, old := range t.keys {
			t.place(old, int32(i))
		}
	}
	t.place(k, int32(len(t.keys)))
	t.keys = append(t.keys, k)
	t.cells = append(t.cells, emptyCell)
	return &t.cells[len(t.cells)-1]
}

func (t *cells) place(k key, cell int32) {
	mask := uint64(len(t.slots) - 1)
	i := hash(k)
	for t.slots[i&mask].key != 0 {
		i++
	}
	t.slots[i&mask] = slot{k, cell}
}

func hash(k key) uint64 {
	h := uint64(k) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}
