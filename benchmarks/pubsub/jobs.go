package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer/internal/cputime"
)

// cost is what a job took for each message.
type cost struct{ cpu, wall time.Duration }

// clock measures the cost of the messages that pass until it is read.
type clock struct {
	cpu   time.Duration
	start time.Time
}

func startClock() clock {
	runtime.GC()
	return clock{cputime.Process(), time.Now()}
}

func (c clock) read(messages int) cost {
	wall, cpu := time.Since(c.start), cputime.Process()-c.cpu
	return cost{cpu / time.Duration(messages), wall / time.Duration(messages)}
}

// timeout is how long a message may take to come.
const timeout = 30 * time.Second

// newMessage returns the nth message, as a service might send it.
func newMessage(n int) *message.Message {
	m := message.NewMessage(strconv.Itoa(n), make(message.Payload, 128))
	m.Metadata.Set("name", "OrderPlaced")
	m.Metadata.Set("correlation_id", m.UUID)
	return m
}

func take(messages <-chan *message.Message) (int, error) {
	select {
	case m, ok := <-messages:
		if !ok {
			return 0, errors.New("the channel was closed")
		}
		m.Ack()
		return strconv.Atoi(m.UUID)
	case <-time.After(timeout):
		return 0, errors.New("no message came")
	}
}

// throughput passes n messages from a publisher to a subscriber, and returns how
// many of them came after one that was published later.
func throughput(p pubSub, n int) (c cost, late int, err error) {
	messages, err := p.Subscribe(context.Background(), "orders")
	if err != nil {
		return c, 0, err
	}
	clock := startClock()
	published := make(chan error, 1)
	go func() {
		for i := range n {
			if err := p.Publish("orders", newMessage(i)); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	newest := -1
	for range n {
		i, err := take(messages)
		if err != nil {
			return c, 0, err
		}
		if i < newest {
			late++
		}
		newest = max(newest, i)
	}
	c = clock.read(n)
	return c, late, <-published
}

// pingPong passes n messages there and back, one at a time.
func pingPong(p pubSub, n int) (c cost, err error) {
	there, err := p.Subscribe(context.Background(), "there")
	if err != nil {
		return c, err
	}
	back, err := p.Subscribe(context.Background(), "back")
	if err != nil {
		return c, err
	}
	echoed := make(chan error, 1)
	go func() {
		for i := range n {
			m, ok := <-there
			if !ok {
				echoed <- errors.New("the channel was closed")
				return
			}
			m.Ack()
			if err := p.Publish("back", newMessage(i)); err != nil {
				echoed <- err
				return
			}
		}
		echoed <- nil
	}()
	clock := startClock()
	for i := range n {
		if err := p.Publish("there", newMessage(i)); err != nil {
			return c, err
		}
		if _, err := take(back); err != nil {
			return c, err
		}
	}
	c = clock.read(n)
	return c, <-echoed
}

// burden is what a subscriber costs that takes one message and never acks it.
type burden struct {
	published  int // of the messages
	goroutines int // more than before it came
	bytes      int // more than before it came, for each message published
}

// stuck publishes n messages to such a subscriber.
func stuck(p pubSub, n int) (b burden, err error) {
	// What the job before has left may still be ending.
	time.Sleep(10 * time.Millisecond)
	goroutines, bytes := runtime.NumGoroutine(), memory()
	messages, err := p.Subscribe(context.Background(), "orders")
	if err != nil {
		return b, err
	}
	progress := make(chan int, n)
	ended := make(chan error, 1)
	go func() {
		for i := range n {
			if err := p.Publish("orders", newMessage(i)); err != nil {
				ended <- err
				return
			}
			progress <- i
		}
		ended <- nil
	}()
	select {
	case <-messages:
	case <-time.After(timeout):
		return b, errors.New("no message came")
	}
	for b.published < n {
		select {
		case <-progress:
			b.published++
			continue
		case <-time.After(time.Second):
		}
		break // the publisher waits
	}
	b.goroutines = runtime.NumGoroutine() - goroutines
	b.bytes = (memory() - bytes) / max(b.published, 1)
	if err := p.Close(); err != nil {
		return b, err
	}
	if err := <-ended; err != nil && b.published == n {
		return b, fmt.Errorf("cannot publish: %w", err)
	}
	return b, nil
}

// memory returns the bytes of the heap and of stacks that are in use.
func memory() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}
