package memwatermill

import (
	"context"
	"fmt"
	"hash/fnv"
	"regexp"
)

// lane is a cursor that a group in this process shares, and of which one
// subscription at a time receives.
type lane struct {
	turn chan struct{} // full while nobody has it

	// Who has the turn may use the fields below.
	failures int // in a row: Nacks, and errors of the streamer
}

func newLane() *lane {
	l := &lane{turn: make(chan struct{}, 1)}
	l.release()
	return l
}

// take waits for the turn, and reports whether it came before the end of ctx.
func (l *lane) take(ctx context.Context) bool {
	select {
	case <-l.turn:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *lane) release() { l.turn <- struct{}{} }

// laneMark parts the topic, group and number in the name of a lane's topic.
const laneMark = "#"

// laneName names the lane at index i of n: base#1/8 to base#8/8.
func laneName(base string, i, n int) string {
	return fmt.Sprintf("%s%s%d/%d", base, laneMark, i+1, n)
}

// laneNumber is what laneName adds to a base.
var laneNumber = regexp.MustCompile(laneMark + "[1-9][0-9]*/[1-9][0-9]*$")

// laneBase returns the base of a lane's name, and reports whether name is one.
func laneBase(name string) (base string, ok bool) {
	at := laneNumber.FindStringIndex(name)
	if at == nil {
		return "", false
	}
	return name[:at[0]], true
}

// refuseLane returns an error if topic is named like a lane's: what a user sends
// there, or acks there, would be sent or acked in the place of a group.
func refuseLane(topic string) error {
	if _, ok := laneBase(topic); ok {
		return fmt.Errorf("topic %q is named like a lane of a consumer group: name it otherwise", topic)
	}
	return nil
}

// laneOf returns the index of the lane of a key. It is the same in every process and
// every release: what waits in a lane would otherwise be overtaken.
func laneOf(key string, lanes int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}
