// Command bench measures the sqlite module beside the streamer in memory and the
// one on an embedded JetStream server. It prints the tables of its README, and puts
// them there:
//
//	go -C bench run . -readme
//
// Each figure is the median of several rounds, in which the streamers take turns.
// The databases are in a temporary directory: set TMPDIR to a disk that is of
// interest.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/cputime"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/sqlite"
)

func main() {
	rounds := flag.Int("rounds", 9, "take the median of `N` rounds")
	n := flag.Int("n", 2000, "do each thing `N` times in a round")
	kept := flag.Int("kept", 1_000_000, "open streamers on up to `N` events")
	inREADME := flag.Bool("readme", false, "put the results into ../README.md too")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `bench measures the streamer on SQLite beside those in memory and on JetStream, by
turns, and prints tables of what they cost.

Usage: go -C sqlite/bench run . [flags]

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *n < 1 || *kept < 1 {
		fmt.Fprintln(os.Stderr, "bench: it takes flags only, and they are positive numbers (-h tells more)")
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "memstreamer-bench")
	if err == nil {
		err = errors.Join(bench(context.Background(), dir, *rounds, *n, *kept), os.RemoveAll(dir))
	}
	if err == nil && *inREADME {
		err = writeREADME("../README.md")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// results is what was printed.
var results bytes.Buffer

func printf(format string, args ...any) {
	fmt.Fprintf(io.MultiWriter(os.Stdout, &results), format, args...)
}

// writeREADME puts the results between the marks in file.
func writeREADME(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, start := strings.Cut(string(text), "<!-- results -->\n")
	_, after, end := strings.Cut(rest, "<!-- /results -->\n")
	if !start || !end {
		return fmt.Errorf("%s has no marks for the results to be between", file)
	}
	return os.WriteFile(file, fmt.Appendf(nil, "%s<!-- results -->\n%s<!-- /results -->\n%s", before, &results, after), 0o644)
}

// contender is a streamer to be measured.
type contender struct {
	name  string
	slow  int // do so many times less
	open  func(ctx context.Context, dir string) (memstreamer.EventStreamer, func() error, error)
	inner memstreamer.EventStreamer
}

func bench(ctx context.Context, dir string, rounds, n, kept int) (err error) {
	if err := idle(ctx, filepath.Join(dir, "idle")); err != nil {
		return err
	}
	contenders := []*contender{
		{name: "memory", slow: 1, open: openMemory},
		{name: "sqlite, NORMAL", slow: 1, open: openSQLite("NORMAL")},
		{name: "sqlite, FULL", slow: 5, open: openSQLite("FULL")},
		{name: "JetStream", slow: 1, open: openJetStream},
	}
	for i, c := range contenders {
		s, closeStreamer, err := c.open(ctx, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		defer func() { err = errors.Join(err, closeStreamer()) }()
		c.inner = s
	}

	printf("\n| µs | %s |\n|---|%s\n", strings.Join(names(contenders), " | "), strings.Repeat("---:|", len(contenders)))
	for _, row := range []struct {
		name string
		f    func(ctx context.Context, s memstreamer.EventStreamer, topic string, n int) (time.Duration, error)
	}{
		{"Send", func(ctx context.Context, s memstreamer.EventStreamer, topic string, n int) (time.Duration, error) {
			return sends(ctx, s, topic, 1, n)
		}},
		{"Send, an event of eight senders", func(ctx context.Context, s memstreamer.EventStreamer, topic string, n int) (time.Duration, error) {
			return sends(ctx, s, topic, 8, n)
		}},
		{"Recv and Ack, of events that wait", recvAcks},
		{"Send to a Recv that waits", handOffs},
	} {
		cells := make([]string, len(contenders))
		took := make([][]time.Duration, len(contenders))
		for round := range rounds {
			for i, c := range contenders {
				fmt.Fprintf(os.Stderr, "\r%-40s %-20s %d/%d ", row.name, c.name, round+1, rounds)
				d, err := row.f(ctx, c.inner, fmt.Sprintf("%s %d", row.name, round), n/c.slow)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", c.name, row.name, err)
				}
				took[i] = append(took[i], d)
			}
		}
		fmt.Fprint(os.Stderr, "\r\033[K")
		for i := range cells {
			cells[i] = fmt.Sprintf("%.3g", float64(median(took[i]).Nanoseconds())/1e3)
		}
		printf("| %s | %s |\n", row.name, strings.Join(cells, " | "))
	}
	return backlogs(ctx, dir, rounds, kept)
}

func names(contenders []*contender) (names []string) {
	for _, c := range contenders {
		names = append(names, c.name)
	}
	return names
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func openMemory(context.Context, string) (memstreamer.EventStreamer, func() error, error) {
	s := memstreamer.New()
	return s, s.Close, nil
}

func openDB(dir, synchronous string) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bench.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=synchronous("+synchronous+")")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func openSQLite(synchronous string) func(context.Context, string) (memstreamer.EventStreamer, func() error, error) {
	return func(ctx context.Context, dir string) (memstreamer.EventStreamer, func() error, error) {
		db, err := openDB(dir, synchronous)
		if err != nil {
			return nil, nil, err
		}
		s, err := sqlite.New(ctx, db)
		if err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		return s, func() error { return errors.Join(s.Close(), db.Close()) }, nil
	}
}

func openJetStream(ctx context.Context, dir string) (memstreamer.EventStreamer, func() error, error) {
	conn, stop, err := embedded.Start(dir)
	if err != nil {
		return nil, nil, err
	}
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	s, err := jetstream.New(ctx, js)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return s, func() error { return errors.Join(s.Close(), stop()) }, nil
}

var headers = map[memstreamer.Header]string{
	memstreamer.HeaderWorkflowName: "fulfilment",
	memstreamer.HeaderForeignID:    "order-1001",
	memstreamer.HeaderRunID:        "2b1d7e0c-5f0a-4a53-9b0e-5c3a0a9e1d57",
	memstreamer.HeaderRunState:     "2",
}

// sends has that many senders send n events, and returns the time for each.
func sends(ctx context.Context, s memstreamer.EventStreamer, topic string, senders, n int) (time.Duration, error) {
	errs := make([]error, senders)
	start := time.Now()
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			snd, err := s.NewSender(ctx, topic)
			for sent := 0; err == nil && sent < (n+i)/senders; sent++ {
				err = snd.Send(ctx, "order-1001", 1, headers)
			}
			errs[i] = err
		})
	}
	sending.Wait()
	return time.Since(start) / time.Duration(n), errors.Join(errs...)
}

// recvAcks receives and acks n events that are there already.
func recvAcks(ctx context.Context, s memstreamer.EventStreamer, topic string, n int) (time.Duration, error) {
	r, err := s.NewReceiver(ctx, topic, "bench")
	if err != nil {
		return 0, err
	}
	if _, err := sends(ctx, s, topic, 64, n); err != nil {
		return 0, err
	}
	start := time.Now()
	for range n {
		_, ack, err := r.Recv(ctx)
		if err == nil {
			err = ack()
		}
		if err != nil {
			return 0, err
		}
	}
	return time.Since(start) / time.Duration(n), r.Close()
}

// handOffs sends events to a receiver that is parked, and returns the median of
// the times from a Send's start to its event.
func handOffs(ctx context.Context, s memstreamer.EventStreamer, topic string, n int) (time.Duration, error) {
	snd, err := s.NewSender(ctx, topic)
	if err != nil {
		return 0, err
	}
	r, err := s.NewReceiver(ctx, topic, "bench")
	if err != nil {
		return 0, err
	}
	received := make(chan time.Time)
	failed := make(chan error, 1)
	go func() {
		defer close(received)
		for range n / 4 {
			_, ack, err := r.Recv(ctx)
			now := time.Now()
			if err == nil {
				err = ack()
			}
			if err != nil {
				failed <- err
				return
			}
			received <- now
		}
	}()
	var took []time.Duration
	for range n / 4 {
		time.Sleep(50 * time.Microsecond) // by then it is parked
		start := time.Now()
		if err := snd.Send(ctx, "order-1001", 1, headers); err != nil {
			return 0, err
		}
		at, ok := <-received
		if !ok {
			return 0, <-failed
		}
		took = append(took, at.Sub(start))
	}
	return median(took), r.Close()
}

// idle prints the processor time that 64 parked receivers take.
func idle(ctx context.Context, dir string) (err error) {
	const d = 10 * time.Second
	s, closeStreamer, err := openSQLite("NORMAL")(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStreamer()) }()
	ctx, cancel := context.WithCancel(ctx)
	var parked sync.WaitGroup
	defer parked.Wait()
	defer cancel()
	for i := range 64 {
		r, err := s.NewReceiver(ctx, "idle", fmt.Sprint(i))
		if err != nil {
			return err
		}
		parked.Go(func() {
			_, _, _ = r.Recv(ctx)
			_ = r.Close()
		})
	}
	fmt.Fprint(os.Stderr, "64 receivers are parked ")
	time.Sleep(time.Second)
	before := cputime.Process()
	time.Sleep(d)
	fmt.Fprint(os.Stderr, "\r\033[K")
	printf("With 64 receivers parked: %.4f cores.\n", float64(cputime.Process()-before)/float64(d))
	return nil
}

// backlogs prints how long it takes to open a streamer on events that are kept,
// and to receive and ack some of them.
func backlogs(ctx context.Context, dir string, rounds, kept int) error {
	printf("\n| events kept | New | New, an event | Recv and Ack |\n|---:|---:|---:|---:|\n")
	for n := 1000; n <= kept; n *= 10 {
		fmt.Fprintf(os.Stderr, "\r\033[Kopening with %d events ", n)
		db, err := openDB(filepath.Join(dir, fmt.Sprint("kept", n)), "NORMAL")
		if err != nil {
			return err
		}
		s, err := sqlite.New(ctx, db)
		if err == nil {
			_, err = sends(ctx, s, "kept", 256, n)
			err = errors.Join(err, s.Close())
		}
		var opened, acked []time.Duration
		for i := 0; err == nil && i < rounds; i++ {
			var open, ack time.Duration
			open, ack, err = reopen(ctx, db, fmt.Sprint(i), min(n, 1000))
			opened, acked = append(opened, open), append(acked, ack)
		}
		if err = errors.Join(err, db.Close()); err != nil {
			return err
		}
		fmt.Fprint(os.Stderr, "\r\033[K")
		printf("| %d | %v | %v | %.3g µs |\n", n, median(opened).Round(100*time.Microsecond),
			(median(opened) / time.Duration(n)).Round(time.Nanosecond), float64(median(acked).Nanoseconds())/1e3)
	}
	return nil
}

func reopen(ctx context.Context, db *sql.DB, name string, n int) (opened, acked time.Duration, err error) {
	start := time.Now()
	s, err := sqlite.New(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	opened = time.Since(start)
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err := s.NewReceiver(ctx, "kept", name)
	if err != nil {
		return 0, 0, err
	}
	start = time.Now()
	for range n {
		_, ack, err := r.Recv(ctx)
		if err == nil {
			err = ack()
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return opened, time.Since(start) / time.Duration(n), r.Close()
}
