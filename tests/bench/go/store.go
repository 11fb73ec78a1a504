// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The tables in the order in which every worker writes them: those that workers share come last,
// so that they wait for each other as briefly as can be.
var tables = [...]struct {
	name  string
	key   string
	level int
}{
	{"checkpoint_source", "source", levelCount},
	{"checkpoint_town", "region", levelTown},
	{"checkpoint_county", "region", levelCounty},
	{"checkpoint_city", "region", levelCity},
}

const (
	rowsPerStatement = 2000 // the arrays of one statement stay in work_mem
	moveStatement    = "move"
	paramsPerUpsert  = 3 + columnCount
)

const (
	oidInt8, oidText, oidInt4 = 20, 25, 23
	oidTimestamptz            = 1184
	microsPerHour             = 3600 * 1000 * 1000
	hoursTo2000               = 10957 * 24 // PostgreSQL counts from 2000
)

// createTables makes what is not there yet. At work only one process does so.
func createTables(ctx context.Context, conn *pgx.Conn, schema string) error {
	name := pgx.Identifier{schema}.Sanitize()
	var sql strings.Builder
	fmt.Fprintf(&sql, "CREATE SCHEMA IF NOT EXISTS %s; SET search_path = %s;", name, name)
	sql.WriteString("CREATE TABLE IF NOT EXISTS position (topic text, partition integer," +
		" next_offset bigint NOT NULL, PRIMARY KEY (topic, partition));")
	for _, table := range tables {
		fmt.Fprintf(&sql, "CREATE TABLE IF NOT EXISTS %s (%s text COLLATE \"C\","+
			" bucket_start timestamptz, post_type text COLLATE \"C\"", table.name, table.key)
		for i, column := range columns {
			sql.WriteString(", " + column + " bigint")
			if !isMax(i) {
				sql.WriteString(" NOT NULL")
			}
		}
		fmt.Fprintf(&sql, ", PRIMARY KEY (%s, bucket_start, post_type)) WITH (fillfactor = 70);",
			table.key)
	}
	_, err := conn.Exec(ctx, sql.String())
	return err
}

// positions gives the next offset of each partition; one never read before begins at its start.
func positions(ctx context.Context, conn *pgx.Conn, topic string, starts []int64) ([]int64, error) {
	_, err := conn.Exec(ctx, "INSERT INTO position SELECT $1, n - 1, start"+
		" FROM unnest($2::bigint[]) WITH ORDINALITY u (start, n) ON CONFLICT DO NOTHING", topic, starts)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT next_offset FROM position WHERE topic = $1"+
		" AND partition < $2 ORDER BY partition", topic, len(starts))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// store writes what a worker counted: rows and positions in one transaction.
type store struct {
	conn  *pgx.Conn
	topic string
	tree  *regions
	level cells // of the table being written
	order []int32
	texts []string
	text  encoder
}

func openStore(ctx context.Context, schema, topic string, tree *regions) (*store, error) {
	conn, err := connect(ctx, schema)
	if err != nil {
		return nil, err
	}
	s := &store{conn: conn, topic: topic, tree: tree, level: *newCells()}
	if _, err = conn.Prepare(ctx, moveStatement, "WITH moved AS (UPDATE position p"+
		" SET next_offset = u.next FROM unnest($2::integer[], $3::bigint[], $4::bigint[])"+
		" u (partition, old, next) WHERE p.topic = $1 AND p.partition = u.partition"+
		" AND p.next_offset = u.old RETURNING 1)"+
		" SELECT 1 / (count(*) = cardinality($2))::integer FROM moved"); err != nil {
		return nil, err // the division fails the transaction where another has moved a position
	}
	for _, table := range tables {
		if _, err = conn.Prepare(ctx, table.name, upsert(table.name, table.key)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func connect(ctx context.Context, schema string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	config.RuntimeParams["jit"] = "off"
	return pgx.ConnectConfig(ctx, config)
}

func upsert(table, keyColumn string) string {
	params := []string{"$1::text[]", "$2::timestamptz[]", "$3::text[]"}
	names := []string{keyColumn, "bucket_start", "post_type"}
	var sets []string
	for i, column := range columns {
		params = append(params, fmt.Sprintf("$%d::bigint[]", len(params)+1))
		names = append(names, column)
		rule := "%[1]s = t.%[1]s + excluded.%[1]s"
		if isMax(i) {
			rule = "%[1]s = greatest(t.%[1]s, excluded.%[1]s)"
		}
		sets = append(sets, fmt.Sprintf(rule, column))
	}
	return fmt.Sprintf("INSERT INTO %s AS t (%s) SELECT * FROM unnest(%s)"+
		" ON CONFLICT (%s, bucket_start, post_type) DO UPDATE SET %s", table,
		strings.Join(names, ", "), strings.Join(params, ", "), keyColumn, strings.Join(sets, ", "))
}

// commit writes one batch: everything in one pipeline with one sync, which makes it one transaction
// and one round trip. sources are the names that the keys of the cells refer to.
func (s *store) commit(ctx context.Context, b *batch, sources []string) error {
	pipeline := s.conn.PgConn().StartPipeline(ctx)
	err := s.send(pipeline, b, sources)
	if err == nil {
		err = pipeline.Sync()
	}
	if err == nil {
		err = readToSync(pipeline)
	}
	if err = cmp.Or(err, pipeline.Close()); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// readToSync reads the answers; the last one says that all is committed.
func readToSync(pipeline *pgconn.Pipeline) error {
	for {
		result, err := pipeline.GetResults()
		if err != nil {
			return err
		}
		switch result := result.(type) {
		case *pgconn.ResultReader:
			if _, err = result.Close(); err != nil {
				return err
			}
		case *pgconn.PipelineSync:
			return nil
		default:
			return fmt.Errorf("unexpected answer %T", result)
		}
	}
}

func (s *store) send(pipeline *pgconn.Pipeline, b *batch, sources []string) error {
	s.sendPositions(pipeline, b)
	for _, table := range tables {
		s.derive(&b.cells, table.level)
		s.sort(table.level, sources)
		for first := 0; first < len(s.order); first += rowsPerStatement {
			rows := s.order[first:min(first+rowsPerStatement, len(s.order))]
			s.sendRows(pipeline, table.name, rows, s.texts)
			if err := pipeline.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) sendPositions(pipeline *pgconn.Pipeline, b *batch) {
	e := &s.text
	e.begin()
	e.array(oidInt4, len(b.moves))
	for _, m := range b.moves {
		e.int4(m.partition)
	}
	e.end()
	e.array(oidInt8, len(b.moves))
	for _, m := range b.moves {
		e.int8(m.old)
	}
	e.end()
	e.array(oidInt8, len(b.moves))
	for _, m := range b.moves {
		e.int8(m.next)
	}
	e.end()
	params := append([][]byte{[]byte(s.topic)}, e.params()...)
	pipeline.SendQueryPrepared(moveStatement, params, binaryFormat, nil)
}

// derive fills s.level with the rows of one table: a cell counts in its region and all above.
func (s *store) derive(from *cells, level int) {
	s.level.reset()
	for i, k := range from.keys {
		at := keyOf(k.source(), 0, k.hour(), int64(k.post()))
		if level != levelCount {
			region := s.tree.above[k.region()][level]
			if region == noRegion {
				continue
			}
			at = keyOf(0, uint32(region), k.hour(), int64(k.post()))
		}
		s.level.find(at).merge(&from.cells[i])
	}
}

// sort puts the rows in the order of their keys in the database, and names them in s.texts.
func (s *store) sort(level int, sources []string) {
	keys := s.level.keys
	s.order, s.texts = s.order[:0], s.texts[:0]
	for i, k := range keys {
		s.order = append(s.order, int32(i))
		if level == levelCount {
			s.texts = append(s.texts, sources[k.source()])
		} else {
			s.texts = append(s.texts, s.tree.codes[k.region()])
		}
	}
	slices.SortFunc(s.order, func(a, b int32) int {
		if order := strings.Compare(s.texts[a], s.texts[b]); order != 0 {
			return order
		}
		return cmp.Compare(keys[a], keys[b])
	})
}

func (s *store) sendRows(pipeline *pgconn.Pipeline, statement string, rows []int32, texts []string) {
	e := &s.text
	e.begin()
	e.array(oidText, len(rows))
	for _, row := range rows {
		e.string(texts[row])
	}
	e.end()
	e.array(oidTimestamptz, len(rows))
	for _, row := range rows {
		e.int8((s.level.keys[row].hour() - hoursTo2000) * microsPerHour)
	}
	e.end()
	e.array(oidText, len(rows))
	for _, row := range rows {
		e.string(postTypes[s.level.keys[row].post()])
	}
	e.end()
	for column := range columns {
		e.array(oidInt8, len(rows))
		for _, row := range rows {
			if value := s.level.cells[row][column]; value == none {
				e.null()
			} else {
				e.int8(value)
			}
		}
		e.end()
	}
	pipeline.SendQueryPrepared(statement, e.params(), binaryFormat, nil)
}

// encoder writes binary parameters, arrays all, one behind the other into memory that it keeps.
type encoder struct {
	bytes  []byte
	ends   []int
	values [][]byte
}

var binaryFormat = []int16{1} // of all parameters; a text is the same in both

func (e *encoder) begin() { e.bytes, e.ends = e.bytes[:0], e.ends[:0] }
func (e *encoder) end()   { e.ends = append(e.ends, len(e.bytes)) }

func (e *encoder) array(oid uint32, count int) {
	e.uint32(1) // dimensions
	e.uint32(1) // there may be nulls
	e.uint32(oid)
	e.uint32(uint32(count))
	e.uint32(1) // first index
}

func (e *encoder) uint32(n uint32) { e.bytes = binary.BigEndian.AppendUint32(e.bytes, n) }
func (e *encoder) null()           { e.uint32(0xffffffff) }

func (e *encoder) int4(n int32) {
	e.uint32(4)
	e.uint32(uint32(n))
}

func (e *encoder) int8(n int64) {
	e.uint32(8)
	e.bytes = binary.BigEndian.AppendUint64(e.bytes, uint64(n))
}

func (e *encoder) string(s string) {
	e.uint32(uint32(len(s)))
	e.bytes = append(e.bytes, s...)
}

// params gives the arrays; good until the next begin.
func (e *encoder) params() [][]byte {
	e.values = e.values[:0]
	first := 0
	for _, end := range e.ends {
		e.values = append(e.values, e.bytes[first:end:end])
		first = end
	}
	return e.values
}
