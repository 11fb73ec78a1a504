// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// The wire: C3 01, the fingerprint (CRC-64-AVRO, little-endian) of schemas/checkpoint/1.avsc, the
// Avro binary body. Here both are read as little-endian numbers.
const (
	headerSize  = 10
	marker      = 0x01c3
	fingerprint = 0x2a5743e808332784
)

// The 22 fields between counted_at and temperature_max_decicelsius, in the order of the schema:
// four enums and eighteen ints.
const (
	fieldDirection  = 0
	fieldPostType   = 1
	fieldVehicle    = 2
	fieldPlateScope = 3
	fieldPersons    = 4
	fieldCodeGreen  = 5 // the first of 17 parts, to_quarantine the last
	fieldTurnedBack = 19
	fieldCount      = 22
	partCount       = 17

	vehicleOnFoot    = 0
	plateOutProvince = 3
)

const (
	noValue   = -1                 // of an optional int, none of which is negative
	continued = 0x80               // of a byte: the varint goes on
	highBits  = 0x8080808080808080 // of eight bytes
	lowBits   = 0x0101010101010101
)

var postTypes = [...]string{"EXPRESSWAY", "TRUNK_ROAD", "VILLAGE", "COMMUNITY", "STATION", "PORT"}

var (
	errOther     = errors.New("not a checkpoint event")
	errMalformed = errors.New("malformed")
)

// event is what one message says. source and region point into the message.
type event struct {
	source, region []byte
	countedMs      int64 // occurred_at; of a reversal counted_at, if it is set
	sign           int64
	small          *[fieldCount]byte // where each field is in one byte, twice its value; else nil
	fields         [fieldCount]int64 // of small those only that are more than a part
	temperatureMax int64             // these three: noValue if null
	queueVehicles  int64
	waitS          int64
}

// decode reads a message: straight down the schema, without a heap. Its fast paths are those of
// nearly every event (names of less than 64 bytes, numbers of up to eight, no reversal, counts of
// one byte); each falls back to the plain rule.
func (e *event) decode(b []byte) error {
	if len(b) < headerSize+1 || binary.LittleEndian.Uint16(b) != marker ||
		binary.LittleEndian.Uint64(b[2:]) != fingerprint {
		return errOther
	}
	i := headerSize
	var ok bool
	if size := int(b[i] >> 1); b[i]&(continued|1) == 0 && i+1+size < len(b) {
		e.source = b[i+1 : i+1+size]
		i += 1 + size
	} else if e.source, i, ok = text(b, i); !ok {
		return errMalformed
	}
	for range 2 { // run and seq
		if i+8 > len(b) {
			return errMalformed // as much follows in any event
		}
		if stop := ^binary.LittleEndian.Uint64(b[i:]) & highBits; stop != 0 {
			i += (bits.TrailingZeros64(stop) + 1) >> 3
		} else if _, i = longSlowly(b, i); i < 0 {
			return errMalformed
		}
	}
	if e.countedMs, i = long(b, i); i < 0 || i >= len(b) {
		return errMalformed
	}
	if size := int(b[i] >> 1); b[i]&(continued|1) == 0 && i+1+size < len(b) {
		e.region = b[i+1 : i+1+size]
		i += 1 + size
	} else if e.region, i, ok = text(b, i); !ok {
		return errMalformed
	}
	if len(b) >= i+4 && binary.LittleEndian.Uint32(b[i:]) == 2 { // sign 1 and three nulls
		e.sign = 1
		i += 4
	} else if i = e.reversal(b, i); i < 0 {
		return errMalformed
	}
	if i = e.counts(b, i); i < 0 {
		return errMalformed
	}
	if i+3 == len(b) && b[i]|b[i+1]|b[i+2] == 0 {
		e.temperatureMax, e.queueVehicles, e.waitS = noValue, noValue, noValue
		return nil
	}
	if e.temperatureMax, i = optional(b, i); i < 0 {
		return errMalformed
	}
	if e.queueVehicles, i = optional(b, i); i < 0 {
		return errMalformed
	}
	if e.waitS, i = optional(b, i); i < 0 || i != len(b) {
		return errMalformed
	}
	return nil
}

// counts reads the 22 fields. All are in one byte each, and not negative, where neither the highest
// bit nor, in zigzag, the lowest is set: then a field is its byte halved.
func (e *event) counts(b []byte, i int) int {
	if len(b) >= i+fieldCount {
		p := (*[fieldCount]byte)(b[i : i+fieldCount])
		all := binary.LittleEndian.Uint64(p[0:8]) | binary.LittleEndian.Uint64(p[8:16]) |
			binary.LittleEndian.Uint64(p[14:22])
		if all&(highBits|lowBits) == 0 {
			e.small = p
			e.fields[fieldDirection] = int64(p[fieldDirection] >> 1)
			e.fields[fieldPostType] = int64(p[fieldPostType] >> 1)
			e.fields[fieldVehicle] = int64(p[fieldVehicle] >> 1)
			e.fields[fieldPlateScope] = int64(p[fieldPlateScope] >> 1)
			e.fields[fieldPersons] = int64(p[fieldPersons] >> 1)
			e.fields[fieldTurnedBack] = int64(p[fieldTurnedBack] >> 1)
			return e.checkEnums(i + fieldCount)
		}
	}
	e.small = nil
	for n := range e.fields {
		if e.fields[n], i = long(b, i); i < 0 {
			return -1
		}
	}
	return e.checkEnums(i)
}

// checkEnums passes i on, if the enums that are used as an index or compared have known symbols.
func (e *event) checkEnums(i int) int {
	if uint64(e.fields[fieldDirection]) > 1 ||
		uint64(e.fields[fieldPostType]) >= uint64(len(postTypes)) ||
		uint64(e.fields[fieldVehicle]) > 6 || uint64(e.fields[fieldPlateScope]) > 3 {
		return -1
	}
	return i
}

// reversal reads sign, reverses_run, reverses_seq and counted_at.
func (e *event) reversal(b []byte, i int) int {
	if e.sign, i = long(b, i); i < 0 || (e.sign != 1 && e.sign != -1) {
		return -1
	}
	if _, i = optional(b, i); i < 0 {
		return -1
	}
	if _, i = optional(b, i); i < 0 {
		return -1
	}
	countedAt, i := optional(b, i)
	if countedAt != noValue {
		e.countedMs = countedAt
	}
	return i
}

// long reads a zigzag varint at i: its value and what follows, or an index below 0.
func long(b []byte, i int) (int64, int) {
	if uint(i)+8 <= uint(len(b)) {
		w := binary.LittleEndian.Uint64(b[i:])
		if stop := ^w & highBits; stop != 0 { // eight bytes or fewer
			n := bits.TrailingZeros64(stop) + 1
			w &= ^uint64(0) >> (64 - n)
			w = w&0x007f007f007f007f | w&0x7f007f007f007f00>>1 // sevens joined in pairs, fours, eights
			w = w&0x00003fff00003fff | w&0x3fff00003fff0000>>2
			w = w&0x000000000fffffff | w&0x0fffffff00000000>>4
			return int64(w>>1) ^ -int64(w&1), i + n>>3
		}
	}
	return longSlowly(b, i)
}

func longSlowly(b []byte, i int) (int64, int) {
	if i < 0 || i > len(b) {
		return 0, -1
	}
	w, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return 0, -1
	}
	return int64(w>>1) ^ -int64(w&1), i + n
}

// text reads a string.
func text(b []byte, i int) ([]byte, int, bool) {
	if uint(i) >= uint(len(b)) {
		return nil, 0, false
	}
	size, at := int64(b[i]>>1), i+1
	if b[i]&(continued|1) != 0 {
		if size, at = long(b, i); at < 0 || size < 0 {
			return nil, 0, false
		}
	}
	if size > int64(len(b)-at) {
		return nil, 0, false
	}
	return b[at : at+int(size)], at + int(size), true
}

// optional reads a union of null and int or long: noValue for null. What stands at the end of a
// message has no eight bytes behind it, and a value of one or two bytes needs none.
func optional(b []byte, i int) (int64, int) {
	if uint(i) >= uint(len(b)) {
		return noValue, -1
	}
	if b[i] == 0 {
		return noValue, i + 1
	}
	if b[i] != 2 {
		return noValue, -1
	}
	i++
	if rest := b[i:]; len(rest) >= 2 && rest[0]&1 == 0 {
		if rest[0] < continued {
			return int64(rest[0] >> 1), i + 1
		}
		if rest[1] < continued {
			return int64(rest[0]&^continued>>1) | int64(rest[1])<<6, i + 2
		}
	}
	value, i := long(b, i)
	if value < 0 {
		return noValue, -1
	}
	return value, i
}
