package memwatermill

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
)

// subscription is one call of Subscribe: a goroutine for each lane, which
// delivers, and one that deals where the group has lanes.
type subscription struct {
	p      *PubSub
	logger watermill.LoggerAdapter
	out    chan *message.Message

	ctx     context.Context // Subscribe's, of which the messages' contexts are made
	running context.Context // ends with ctx or by Close: nothing more is delivered
	grace   context.Context // ends CloseTimeout later: nothing more is waited for

	work   []func() // a goroutine each
	closes []func() // what to do at the end, last first
}

// open returns a subscription that has everything it needs to run.
func (p *PubSub) open(ctx context.Context, topic string) (*subscription, error) {
	s := &subscription{
		p:      p,
		logger: p.logger.With(watermill.LogFields{"topic": topic}),
		out:    make(chan *message.Message),
		ctx:    ctx,
	}
	s.scope()
	open := s.openMember
	if p.config.ConsumerGroup == "" {
		open = s.openAlone
	}
	if err := open(topic); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// scope makes the contexts.
func (s *subscription) scope() {
	running, stop := context.WithCancel(s.ctx)
	grace, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	unlink := context.AfterFunc(s.p.running, stop)
	context.AfterFunc(running, func() {
		timeout := time.AfterFunc(s.p.config.CloseTimeout, cancel)
		context.AfterFunc(grace, func() { timeout.Stop() })
	})
	s.running, s.grace = running, grace
	s.closes = append(s.closes, func() {
		unlink()
		stop()
		cancel()
	})
}

// openAlone opens a subscription without a group: a consumer for each lane, which
// passes over the messages of the others.
func (s *subscription) openAlone(topic string) error {
	name, lanes := "subscription-"+watermill.NewShortUUID(), s.p.config.Lanes
	for i := range lanes {
		name, mine := name, everyMessage
		if lanes > 1 {
			name = laneName(name, i, lanes)
			mine = func(m *message.Message) bool { return laneOf(s.p.config.LaneKey(m), lanes) == i }
		}
		s.closes = append(s.closes, func() { s.forget(topic, name) })
		if err := s.serve(newLane(), s.cursor(topic, name, s.p.config.start), mine); err != nil {
			return err
		}
	}
	return nil
}

func everyMessage(*message.Message) bool { return true }

// openMember opens a subscription of a group.
func (s *subscription) openMember(topic string) error {
	g, err := join(groupKey{s.p.source, topic, s.p.config.ConsumerGroup}, s.p.config.Lanes)
	if err != nil {
		return err
	}
	s.closes = append(s.closes, g.leave)
	onTopic := s.cursor(topic, g.name, s.p.config.start)
	if err := onTopic.reopen(); err != nil {
		return err
	}
	if g.direct() {
		return s.serve(g.lanes[0], onTopic, everyMessage)
	}
	var senders []sender
	for i, topic := range g.laneTopics() {
		sender, err := s.p.streamer.NewSender(s.running, topic)
		if err != nil {
			return err
		}
		s.closes = append(s.closes, func() { _ = sender.Close() })
		senders = append(senders, sender)
		if err := s.serve(g.lanes[i], s.cursor(topic, g.name), everyMessage); err != nil {
			return err
		}
	}
	s.work = append(s.work, func() { s.deal(g, onTopic, senders) })
	return nil
}

// cursor receives at the position of one consumer. Where a receiver fails, it may
// fail for good, as where its consumer is gone from a server: another is opened.
type cursor struct {
	open     func() (receiver, error)
	receiver receiver // nil until reopen, and after an error
}

// cursor returns a cursor that is closed with s.
func (s *subscription) cursor(topic, name string, opts ...option) *cursor {
	c := &cursor{open: func() (receiver, error) { return s.p.streamer.NewReceiver(s.running, topic, name, opts...) }}
	s.closes = append(s.closes, c.close)
	return c
}

func (c *cursor) reopen() error {
	if c.receiver != nil {
		return nil
	}
	r, err := c.open()
	if err == nil {
		c.receiver = r
	}
	return err
}

func (c *cursor) recv(ctx context.Context) (*event, ack, error) {
	if err := c.reopen(); err != nil {
		return nil, nil, err
	}
	e, ack, err := c.receiver.Recv(ctx)
	if err != nil {
		c.close()
	}
	return e, ack, err
}

func (c *cursor) close() {
	if c.receiver != nil {
		_ = c.receiver.Close()
		c.receiver = nil
	}
}

// forgetTimeout is how long a streamer may take to forget a consumer.
const forgetTimeout = 10 * time.Second

// forget forgets a consumer, if the streamer has a method for it.
func (s *subscription) forget(topic, name string) {
	f, ok := s.p.source.(forgetter)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), forgetTimeout)
	defer cancel()
	if err := f.Forget(ctx, topic, name); err != nil && !errors.Is(err, memstreamer.ErrClosed) {
		s.logger.Error("Cannot forget a consumer", err, nil)
	}
}

// run does the work until running ends, and closes s.
func (s *subscription) run() {
	s.logger.Debug("Subscribed", nil)
	var working sync.WaitGroup
	for _, work := range s.work[1:] {
		working.Go(work)
	}
	s.work[0]() // a goroutine less
	working.Wait()
	s.close()
	close(s.out)
	s.logger.Debug("Subscription ended", nil)
}

func (s *subscription) close() {
	for i := range s.closes {
		s.closes[len(s.closes)-1-i]()
	}
}

// serve adds the work of l: it delivers the messages at c in the turns of l.
func (s *subscription) serve(l *lane, c *cursor, mine func(*message.Message) bool) error {
	s.work = append(s.work, func() {
		for more := true; more && l.take(s.running); {
			more = s.next(l, c, mine)
			l.release()
		}
	})
	return c.reopen()
}

// next delivers one message, and reports whether there may be more. What is not
// acked, the cursor returns again.
func (s *subscription) next(l *lane, c *cursor, mine func(*message.Message) bool) bool {
	e, ack, ok := s.receive(l, c)
	if !ok {
		return false
	}
	m := decode(e)
	if mine(m) {
		switch s.deliver(m) {
		case nacked:
			return s.pause(s.running, l, 0, "Message nacked", watermill.LogFields{"message_uuid": m.UUID})
		case abandoned:
			return false
		}
	}
	return s.commit(l, ack)
}

func (s *subscription) receive(l *lane, c *cursor) (e *event, ack ack, ok bool) {
	ok = s.retry(s.running, l, "Cannot receive a message", func() (err error) {
		e, ack, err = c.recv(s.running)
		return err
	})
	return e, ack, ok
}

// ackPatience is how long an Ack is tried that fails.
const ackPatience = 30 * time.Second

// commit acks, and reports whether there may be more. Where an Ack fails it may
// have taken effect, and it can be repeated: to receive instead would be to deliver
// again. So it is part of the handling for which the end of a subscription waits.
// But it may also fail for good: the message is delivered again then.
func (s *subscription) commit(l *lane, ack ack) bool {
	start := time.Now()
	return s.retry(s.grace, l, "Cannot ack a message", func() error {
		err := ack()
		if err == nil {
			l.failures = 0
		} else if time.Since(start) >= ackPatience {
			s.logger.Error("Cannot ack a message: it will be delivered again", err, nil)
			return nil
		}
		return err
	})
}

// retryDelay is the least pause after an error of the streamer's.
const retryDelay = 100 * time.Millisecond

// retry calls f, with pauses between, until it succeeds, and reports whether it
// has before the end of ctx.
func (s *subscription) retry(ctx context.Context, l *lane, what string, f func() error) bool {
	for {
		err := f()
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, memstreamer.ErrClosed):
			s.logger.Info("The streamer was closed", nil)
			return false
		}
		s.logger.Error(what, err, nil)
		if !s.pause(ctx, l, retryDelay, what, nil) {
			return false
		}
	}
}

// outcome is what became of a delivery.
type outcome int

const (
	acked outcome = iota
	nacked
	abandoned // neither, at the end of the subscription
)

// deliver hands m to the subscriber, and waits until it was handled.
func (s *subscription) deliver(m *message.Message) outcome {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	m.SetContext(ctx)
	select {
	case s.out <- m:
	case <-s.running.Done():
		return abandoned
	}
	select {
	case <-m.Acked():
		return acked
	case <-m.Nacked():
		return nacked
	case <-s.grace.Done():
		s.logger.Info("Message neither acked nor nacked within CloseTimeout: it will be delivered again", watermill.LogFields{"message_uuid": m.UUID})
		return abandoned
	}
}

// pause waits before another attempt, for at least that long, and reports whether
// there is to be one.
func (s *subscription) pause(ctx context.Context, l *lane, atLeast time.Duration, why string, fields watermill.LogFields) bool {
	l.failures++
	delay := max(s.p.config.delay(l.failures), atLeast)
	s.logger.Debug(why, fields.Add(watermill.LogFields{"failures": l.failures, "delay": delay}))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
