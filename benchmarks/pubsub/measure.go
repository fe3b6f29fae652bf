package main

import (
	"fmt"
	"slices"
	"time"
)

type config struct{ rounds, messages int }

// result is what the rounds of one peer gave.
type result struct {
	title    string
	pass     []cost
	late     []float64 // the share of the messages
	pingPong []cost
	stuck    []burden
}

// measure does the jobs, round by round and in each peer by peer, so that what
// else the machine does falls on all of them.
func measure(c config, progress func(round int, peer string)) ([]result, error) {
	results := make([]result, len(peers))
	for round := range c.rounds {
		for i, p := range peers {
			progress(round, p.title)
			results[i].title = p.title
			if err := results[i].add(p, c); err != nil {
				return nil, fmt.Errorf("%s: %w", p.title, err)
			}
		}
	}
	return results, nil
}

// add does each job once, on a Pub/Sub of its own.
func (r *result) add(p peer, c config) error {
	each := func(job string, do func(pubSub) error) error {
		opened, err := p.open()
		if err == nil {
			err = do(opened)
		}
		if err == nil {
			err = opened.Close()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", job, err)
		}
		return nil
	}
	if err := each("throughput", func(p pubSub) error {
		cost, late, err := throughput(p, c.messages)
		r.pass, r.late = append(r.pass, cost), append(r.late, float64(late)/float64(c.messages))
		return err
	}); err != nil {
		return err
	}
	if err := each("ping-pong", func(p pubSub) error {
		cost, err := pingPong(p, c.messages/4)
		r.pingPong = append(r.pingPong, cost)
		return err
	}); err != nil {
		return err
	}
	return each("stuck subscriber", func(p pubSub) error {
		burden, err := stuck(p, c.messages/4)
		r.stuck = append(r.stuck, burden)
		return err
	})
}

func median[T any, V int | float64 | time.Duration](rounds []T, of func(T) V) V {
	values := make([]V, len(rounds))
	for i, round := range rounds {
		values[i] = of(round)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func cpu(c cost) time.Duration  { return c.cpu }
func wall(c cost) time.Duration { return c.wall }
