package sqlite

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

var kills = flag.Int("kills", 10, "how often TestKill kills its child")

// killFile is set in the environment of a test binary that is to be TestKill's
// child, to the database's file.
const killFile = "MEMSTREAMER_KILL_FILE"

// killRetention has the child drop events and delete their rows all the time.
const killRetention = 200 * time.Millisecond

// The child has three senders and three names on each of two topics.
var (
	killTopics = []string{"topic-0", "topic-1"}
	killNames  = []string{"name-0", "name-1", "name-2"}
)

const killSenders = 3

// killChild sends and receives as fast as it can. It writes a line to stdout once
// it has sent an event, once it has received one, and once it has acked that: what,
// the topic, the name, the foreign ID and the ID.
func killChild(file string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal("the child failed: ", err)
		}
	}
	db, err := openDB(dsn(file), 4)
	check(err)
	// The clock stands still until the names are open: that may take longer than
	// killRetention, and they would then be forgotten as they should.
	var ready atomic.Bool
	started := time.Now()
	s, err := New(ctx, db, WithRetention(killRetention), WithClock(clockFunc(func() time.Time {
		if ready.Load() {
			return time.Now()
		}
		return started
	})))
	check(err)
	for _, topic := range killTopics {
		for _, name := range killNames {
			r, err := s.NewReceiver(ctx, topic, name)
			check(err)
			go func() {
				for {
					e, ack, err := r.Recv(ctx)
					check(err)
					fmt.Println("received", topic, name, e.ForeignID, e.ID)
					check(ack())
					fmt.Println("acked", topic, name, e.ForeignID, e.ID)
				}
			}()
		}
	}
	ready.Store(true)
	for _, topic := range killTopics {
		for i := range killSenders {
			snd, err := s.NewSender(ctx, topic)
			check(err)
			go func() {
				for n := 0; ; n++ {
					id := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
					check(snd.Send(ctx, id, n, map[memstreamer.Header]string{"run_id": id}))
					fmt.Println("sent", topic, "-", id, 0)
				}
			}()
		}
	}
	select {}
}

// TestKill kills a process of six senders and six receivers again and again, and
// checks what they were told against what a streamer finds afterwards.
func TestKill(t *testing.T) {
	type cursor struct{ topic, name string }
	sent := make(map[string][]string) // by topic: confirmed
	received := make(map[cursor]map[string]bool)
	acked := make(map[cursor]int64) // the last ID confirmed
	last := make(map[cursor]int64)  // the last ID received, by this streamer
	for _, topic := range killTopics {
		for _, name := range killNames {
			received[cursor{topic, name}] = make(map[string]bool)
		}
	}
	receive := func(c cursor, foreignID string, id int64) {
		assert.Greater(t, id, acked[c], "%s received event %d after its ack", c, id)
		assert.Greater(t, id, last[c], "%s received event %d out of order", c, id)
		received[c][foreignID] = true
		last[c] = id
	}
	file := tempFile(t)
	for range *kills {
		clear(last)
		killAfter(t, file, time.Duration(100+rand.IntN(200))*time.Millisecond, func(line string) {
			var what, foreignID string
			var c cursor
			var id int64
			_, err := fmt.Sscan(line, &what, &c.topic, &c.name, &foreignID, &id)
			require.NoError(t, err, line)
			switch what {
			case "sent":
				sent[c.topic] = append(sent[c.topic], foreignID)
			case "received":
				receive(c, foreignID, id)
			case "acked":
				acked[c] = id
			}
		})
	}

	// What is left is received here.
	s := open(t, openFile(t, file, 1))
	clear(last)
	for _, topic := range killTopics {
		require.NotEmpty(t, sent[topic])
		sendAs(t, s, topic, "last")
		for _, name := range killNames {
			c, r := cursor{topic, name}, newReceiver(t, s, topic, name)
			for left := 0; ; left++ {
				e, ack, err := r.Recv(t.Context())
				require.NoError(t, err)
				if e.ForeignID == "last" {
					t.Logf("%s: %d confirmed, %d left", c, len(sent[topic]), left)
					break
				}
				receive(c, e.ForeignID, e.ID)
				require.NoError(t, ack())
			}
			for _, foreignID := range sent[topic] {
				assert.True(t, received[c][foreignID], "%s never received %s", c, foreignID)
			}
		}
	}
}

// killAfter runs the child, kills it d after its first line, and hands its lines to
// read.
func killAfter(t *testing.T, file string, d time.Duration, read func(line string)) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killFile+"="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
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
		read(line)
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, -1, exit.ExitCode(), "it was not killed")
}
