package sqlite_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/sqlite"
)

var kills = flag.Int("kills", 10, "how often TestKill kills its child")

// killFile is set in the environment of a test binary that is to be TestKill's
// child, to the database's file.
const killFile = "MEMSTREAMER_KILL_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(killFile); file != "" {
		killChild(file)
	}
	goleak.VerifyTestMain(m)
}

// killRetention has the child drop events and delete their rows all the time.
const killRetention = 200 * time.Millisecond

// killClock stands still until the child's names are open: it may take longer than
// killRetention to open them, and they would then be forgotten as they should.
type killClock struct {
	started time.Time
	open    atomic.Bool
}

func (c *killClock) Now() time.Time {
	if c.open.Load() {
		return time.Now()
	}
	return c.started
}

// TestKill's child has three senders and three names on each of two topics.
const (
	killTopics  = 2
	killSenders = 3
	killNames   = 3
)

// killChild sends and receives as fast as it can, and writes what it does to
// stdout: a line before each Send and each Ack, and one once it is confirmed.
func killChild(file string) {
	db, err := openDB(file, 4)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	c := &killClock{started: time.Now()}
	s, err := sqlite.New(context.Background(), db, sqlite.WithClock(c), sqlite.WithRetention(killRetention))
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	receivers := make(map[string]memstreamer.EventReceiver)
	for i := range killTopics * killNames {
		topic, name := fmt.Sprint("topic-", i%killTopics), fmt.Sprint("name-", i/killTopics)
		if receivers[topic+name], err = s.NewReceiver(context.Background(), topic, name); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
	}
	c.open.Store(true)
	var mu sync.Mutex
	say := func(args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(args...)
	}
	for i := range killTopics {
		topic := fmt.Sprint("topic-", i)
		for j := range killSenders {
			go func() {
				say("failed", killSend(s, topic, fmt.Sprint(os.Getpid(), "-", j), say))
			}()
		}
		for j := range killNames {
			go func() {
				name := fmt.Sprint("name-", j)
				say("failed", killReceive(receivers[topic+name], topic, name, say))
			}()
		}
	}
	select {}
}

func killSend(s *sqlite.Streamer, topic, prefix string, say func(...any)) error {
	snd, err := s.NewSender(context.Background(), topic)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		id := fmt.Sprint(prefix, "-", n)
		if err := snd.Send(context.Background(), id, n, map[memstreamer.Header]string{"run_id": id}); err != nil {
			return err
		}
		say("sent", topic, id)
	}
}

func killReceive(r memstreamer.EventReceiver, topic, name string, say func(...any)) error {
	for {
		e, ack, err := r.Recv(context.Background())
		if err != nil {
			return err
		}
		say("received", topic, name, e.ForeignID, e.ID)
		if err := ack(); err != nil {
			return err
		}
		say("acked", topic, name, e.ForeignID, e.ID)
	}
}

// TestKill kills a process of six senders and six receivers again and again, and
// checks what they were told against what a streamer finds afterwards.
func TestKill(t *testing.T) {
	file := tempFile(t)
	sent := make(map[string][]string)            // by topic: confirmed
	received := make(map[string]map[string]bool) // by topic and name
	acked := make(map[string]int64)              // the same: the last ID confirmed
	last := make(map[string]int64)               // the same: the last ID received
	receive := func(key, foreignID string, id int64) {
		if received[key] == nil {
			received[key] = make(map[string]bool)
		}
		received[key][foreignID] = true
		assert.Greater(t, id, acked[key], "%s received event %d after its ack", key, id)
		assert.Greater(t, id, last[key], "%s received event %d out of order", key, id)
		last[key] = id
	}
	for range *kills {
		clear(last)
		killAfter(t, file, time.Duration(100+rand.IntN(200))*time.Millisecond, func(line string) {
			var topic, name, foreignID string
			var id int64
			switch what, rest, _ := strings.Cut(line, " "); what {
			case "sent":
				_, err := fmt.Sscan(rest, &topic, &foreignID)
				require.NoError(t, err, line)
				sent[topic] = append(sent[topic], foreignID)
			case "received":
				_, err := fmt.Sscan(rest, &topic, &name, &foreignID, &id)
				require.NoError(t, err, line)
				receive(topic+" "+name, foreignID, id)
			case "acked":
				_, err := fmt.Sscan(rest, &topic, &name, &foreignID, &id)
				require.NoError(t, err, line)
				acked[topic+" "+name] = id
			default:
				t.Fatal(line)
			}
		})
	}

	// What is left is received here.
	s := open(t, openFile(t, file, 1))
	clear(last)
	for i := range killTopics {
		topic := fmt.Sprint("topic-", i)
		require.NotEmpty(t, sent[topic])
		send(t, s, topic, 1)
		for j := range killNames {
			key := topic + " " + fmt.Sprint("name-", j)
			r, err := s.NewReceiver(t.Context(), topic, fmt.Sprint("name-", j))
			require.NoError(t, err)
			for left := 0; ; left++ {
				e, ack, err := r.Recv(t.Context())
				require.NoError(t, err)
				if e.ForeignID == lastOrder {
					t.Logf("%s: the last of %d confirmed, %d left", key, len(sent[topic]), left)
					break
				}
				receive(key, e.ForeignID, e.ID)
				require.NoError(t, ack())
			}
			for _, foreignID := range sent[topic] {
				if !received[key][foreignID] {
					t.Errorf("%s never received %s", key, foreignID)
				}
			}
		}
	}
}

// lastOrder is the foreign ID that send gives to its events.
const lastOrder = "order-1001"

// killAfter runs the child, kills it after d, and hands its lines to read.
func killAfter(t *testing.T, file string, d time.Duration, read func(line string)) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killFile+"="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	// Before its first line it is starting.
	lines := bufio.NewReader(out)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err == io.EOF { // and what is left is a line cut off by the kill
			break
		}
		require.NoError(t, err)
		if first {
			time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
		}
		read(strings.TrimSpace(line))
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, -1, exit.ExitCode(), "it was not killed")
}
