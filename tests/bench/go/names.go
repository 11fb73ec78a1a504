// SPDX-License-Identifier: Apache-2.0

package main

import "hash/maphash"

// names gives each source a number: a hash table with open addressing, which takes half the time of
// a map of strings. It only grows.
type names struct {
	seed  maphash.Seed
	slots []nameSlot // a power of two, at most half of them used
	names []string
}

type nameSlot struct {
	hash uint64 // never 0 where a name is
	id   uint32
}

func newNames() *names {
	return &names{seed: maphash.MakeSeed(), slots: make([]nameSlot, 1<<12)}
}

// find gives the number of a name; a new one gets the next.
func (n *names) find(name []byte) (id uint32, isNew bool) {
	h := maphash.Bytes(n.seed, name) | 1
	mask := uint64(len(n.slots) - 1)
	for i := h >> 1; ; i++ {
		s := &n.slots[i&mask]
		if s.hash == h && n.names[s.id] == string(name) {
			return s.id, false
		}
		if s.hash == 0 {
			return n.insert(name, h), true
		}
	}
}

func (n *names) insert(name []byte, h uint64) uint32 {
	if 2*len(n.names) >= len(n.slots) {
		old := n.slots
		n.slots = make([]nameSlot, 2*len(old))
		for _, s := range old {
			if s.hash != 0 {
				n.place(s)
			}
		}
	}
	id := uint32(len(n.names))
	n.names = append(n.names, string(name))
	n.place(nameSlot{h, id})
	return id
}

func (n *names) place(s nameSlot) {
	mask := uint64(len(n.slots) - 1)
	i := s.hash >> 1
	for n.slots[i&mask].hash != 0 {
		i++
	}
	n.slots[i&mask] = s
}
