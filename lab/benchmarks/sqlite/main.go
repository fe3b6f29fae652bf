// Sqlite measures the sqlite module beside the streamer in memory and the
// one on an embedded JetStream server. It prints the tables of its README, and puts
// them there:
//
//	go run -C lab/benchmarks ./sqlite -readme
//
// Each figure is the median of several rounds, in which the streamers take turns.
// The databases are in a temporary directory: set TMPDIR to a disk that is of
// interest.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"log"
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

var (
	rounds = flag.Int("rounds", 9, "take the median of `N` rounds")
	each   = flag.Int("n", 2000, "do each thing `N` times in a round")
	kept   = flag.Int("kept", 1_000_000, "open streamers on up to `N` events")
	readme = flag.Bool("readme", false, "put the results into the README of sqlite too")

	ctx     = context.Background()
	dir     string       // of the databases
	results bytes.Buffer // what was printed
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("sqlite: ")
	flag.Parse()
	if flag.NArg() > 0 || min(*rounds, *each, *kept) < 1 {
		log.Fatal("it takes flags only, and they are positive numbers (-h tells more)")
	}
	var err error
	dir, err = os.MkdirTemp("", "memstreamer-bench")
	check(err)
	idle()
	compare()
	backlogs()
	if *readme {
		writeREADME("../../sqlite/README.md")
	}
	check(os.RemoveAll(dir))
}

// check ends the command if there is an error.
func check(err error) {
	if err != nil {
		_ = os.RemoveAll(dir)
		log.Fatal(err)
	}
}

func printf(format string, args ...any) {
	progress("")
	fmt.Fprintf(io.MultiWriter(os.Stdout, &results), format, args...)
}

// progress replaces the line that says what is under way.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...) }

// writeREADME puts the results between the marks in file.
func writeREADME(file string) {
	text, err := os.ReadFile(file)
	check(err)
	before, rest, start := strings.Cut(string(text), "<!-- results -->\n")
	_, after, end := strings.Cut(rest, "<!-- /results -->\n")
	if !start || !end {
		check(fmt.Errorf("%s has no marks for the results to be between", file))
	}
	check(os.WriteFile(file, fmt.Appendf(nil, "%s<!-- results -->\n%s<!-- /results -->\n%s", before, &results, after), 0o644))
}

// compare prints what each streamer takes for each job.
func compare() {
	contenders := []struct {
		name string
		slow int // do so many times less
		open func() (s memstreamer.EventStreamer, stop func() error)
	}{
		{"memory", 1, func() (memstreamer.EventStreamer, func() error) {
			s := memstreamer.New()
			return s, s.Close
		}},
		{"sqlite, NORMAL", 1, func() (memstreamer.EventStreamer, func() error) { return openSQLite("NORMAL") }},
		{"sqlite, FULL", 5, func() (memstreamer.EventStreamer, func() error) { return openSQLite("FULL") }},
		{"JetStream", 1, openJetStream},
	}
	streamers := make([]memstreamer.EventStreamer, len(contenders))
	header := "\n| µs "
	for i, c := range contenders {
		s, stop := c.open()
		defer func() { check(stop()) }()
		streamers[i] = s
		header += "| " + c.name + " "
	}
	printf("%s|\n|---|%s\n", header, strings.Repeat("---:|", len(contenders)))
	for _, row := range []struct {
		name string
		// job does something n times on a new topic. It returns the time of one.
		job func(s memstreamer.EventStreamer, topic string, n int) time.Duration
	}{
		{"Send", func(s memstreamer.EventStreamer, topic string, n int) time.Duration { return send(s, topic, 1, n) }},
		{"Send, an event of eight senders", func(s memstreamer.EventStreamer, topic string, n int) time.Duration { return send(s, topic, 8, n) }},
		{"Recv and Ack, of events that wait", func(s memstreamer.EventStreamer, topic string, n int) time.Duration {
			r := newReceiver(s, topic, "bench")
			send(s, topic, 64, n)
			return take(r, n)
		}},
		{"Send to a Recv that waits", handOff},
	} {
		took := make([][]time.Duration, len(contenders))
		for round := range *rounds {
			for i, c := range contenders {
				progress("%-40s %-20s %d/%d ", row.name, c.name, round+1, *rounds)
				took[i] = append(took[i], row.job(streamers[i], fmt.Sprintf("%s %d", row.name, round), max(*each/c.slow, 1)))
			}
		}
		line := "| " + row.name + " "
		for _, d := range took {
			line += fmt.Sprintf("| %.3g ", micros(d))
		}
		printf("%s|\n", line)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// micros returns the median in microseconds.
func micros(d []time.Duration) float64 { return float64(median(d).Nanoseconds()) / 1e3 }

// openDB opens a new database in dir.
func openDB(synchronous string) *sql.DB {
	own, err := os.MkdirTemp(dir, "")
	check(err)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(own, "bench.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=synchronous("+synchronous+")")
	check(err)
	db.SetMaxOpenConns(1)
	return db
}

func openSQLite(synchronous string) (memstreamer.EventStreamer, func() error) {
	db := openDB(synchronous)
	s, err := sqlite.New(ctx, db)
	check(err)
	return s, func() error {
		check(s.Close())
		return db.Close()
	}
}

func openJetStream() (memstreamer.EventStreamer, func() error) {
	conn, stop, err := embedded.Start(filepath.Join(dir, "jetstream"))
	check(err)
	js, err := natsjs.New(conn)
	check(err)
	s, err := jetstream.New(ctx, js)
	check(err)
	return s, func() error {
		check(s.Close())
		return stop()
	}
}

var headers = map[memstreamer.Header]string{
	memstreamer.HeaderWorkflowName: "fulfilment",
	memstreamer.HeaderForeignID:    "order-1001",
	memstreamer.HeaderRunID:        "2b1d7e0c-5f0a-4a53-9b0e-5c3a0a9e1d57",
	memstreamer.HeaderRunState:     "2",
}

func newSender(s memstreamer.EventStreamer, topic string) memstreamer.EventSender {
	snd, err := s.NewSender(ctx, topic)
	check(err)
	return snd
}

func newReceiver(s memstreamer.EventStreamer, topic, name string) memstreamer.EventReceiver {
	r, err := s.NewReceiver(ctx, topic, name)
	check(err)
	return r
}

// send has that many senders send n events together.
func send(s memstreamer.EventStreamer, topic string, senders, n int) time.Duration {
	start := time.Now()
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			snd := newSender(s, topic)
			for range (n + i) / senders {
				check(snd.Send(ctx, "order-1001", 1, headers))
			}
		})
	}
	sending.Wait()
	return time.Since(start) / time.Duration(n)
}

// take receives and acks n events that are there already, and closes r.
func take(r memstreamer.EventReceiver, n int) time.Duration {
	start := time.Now()
	for range n {
		_, ack, err := r.Recv(ctx)
		check(err)
		check(ack())
	}
	took := time.Since(start) / time.Duration(n)
	check(r.Close())
	return took
}

// handOff sends n/4 events to a receiver that is parked, and returns the median of
// the times from a Send's start to its event.
func handOff(s memstreamer.EventStreamer, topic string, n int) time.Duration {
	snd, r := newSender(s, topic), newReceiver(s, topic, "bench")
	var took []time.Duration
	for range max(n/4, 1) {
		var at time.Time
		var receiving sync.WaitGroup
		receiving.Go(func() {
			_, ack, err := r.Recv(ctx)
			at = time.Now()
			check(err)
			check(ack())
		})
		time.Sleep(50 * time.Microsecond) // by then it is parked
		start := time.Now()
		check(snd.Send(ctx, "order-1001", 1, headers))
		receiving.Wait()
		took = append(took, at.Sub(start))
	}
	check(r.Close())
	return median(took)
}

// idle prints the processor time that 64 parked receivers take.
func idle() {
	const d = 10 * time.Second
	s, stop := openSQLite("NORMAL")
	var parked sync.WaitGroup
	for i := range 64 {
		r := newReceiver(s, "idle", fmt.Sprint(i))
		parked.Go(func() { _, _, _ = r.Recv(ctx) })
	}
	progress("64 receivers are parked ")
	time.Sleep(time.Second)
	before := cputime.Process()
	time.Sleep(d)
	printf("With 64 receivers parked: %.4f cores.\n", float64(cputime.Process()-before)/float64(d))
	check(stop())
	parked.Wait()
}

// backlogs prints how long it takes to open a streamer on events that are kept,
// and to receive and ack some of them.
func backlogs() {
	printf("\n| events kept | New | New, an event | Recv and Ack |\n|---:|---:|---:|---:|\n")
	for n := min(1000, *kept); n <= *kept; n *= 10 {
		progress("opening with %d events ", n)
		db := openDB("NORMAL")
		s, err := sqlite.New(ctx, db)
		check(err)
		send(s, "kept", 256, n)
		check(s.Close())
		var opened, acked []time.Duration
		for round := range *rounds {
			start := time.Now()
			s, err := sqlite.New(ctx, db)
			opened = append(opened, time.Since(start))
			check(err)
			acked = append(acked, take(newReceiver(s, "kept", fmt.Sprint(round)), min(n, 1000)))
			check(s.Close())
		}
		check(db.Close())
		printf("| %d | %v | %v | %.3g µs |\n", n, median(opened).Round(100*time.Microsecond),
			(median(opened) / time.Duration(n)).Round(time.Nanosecond), micros(acked))
	}
}
