// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"sort"
)

const (
	levelTown = iota
	levelCounty
	levelCity
	levelCount
)

const noRegion = -1

var levelNames = map[string]int{"town": levelTown, "county": levelCounty, "city": levelCity}

// regions is the tree. An index is the place of a code in the order of codes, so that rows sorted
// by it are locked in one order by all workers.
type regions struct {
	codes []string
	index map[string]uint32
	above [][levelCount]int32 // of a region: the region of each level that it counts in
}

func loadRegions(path string) (*regions, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) < 2 || len(rows) > 1<<regionBits || len(rows[0]) < 5 ||
		rows[0][0] != "code" || rows[0][3] != "level" || rows[0][4] != "parent" {
		return nil, fmt.Errorf("%s: not a table of up to %d regions", path, 1<<regionBits)
	}
	rows = rows[1:]
	sort.Slice(rows, func(i, j int) bool { return rows[i][0] < rows[j][0] })
	tree := &regions{index: make(map[string]uint32, len(rows))}
	for i, row := range rows {
		tree.codes = append(tree.codes, row[0])
		tree.index[row[0]] = uint32(i)
	}
	for _, row := range rows {
		above, err := tree.ancestors(rows, row)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		tree.above = append(tree.above, above)
	}
	return tree, nil
}

func (tree *regions) ancestors(rows [][]string, row []string) ([levelCount]int32, error) {
	above := [levelCount]int32{noRegion, noRegion, noRegion}
	for depth := 0; depth < levelCount; depth++ {
		level, ok := levelNames[row[3]]
		if !ok {
			return above, fmt.Errorf("%s: unknown level %q", row[0], row[3])
		}
		above[level] = int32(tree.index[row[0]])
		if row[4] == "" {
			return above, nil
		}
		parent, ok := tree.index[row[4]]
		if !ok {
			return above, fmt.Errorf("%s: unknown parent %q", row[0], row[4])
		}
		row = rows[parent]
	}
	return above, fmt.Errorf("%s: more than %d levels", row[0], levelCount)
}
