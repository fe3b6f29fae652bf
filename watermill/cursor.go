package memwatermill

import "context"

// cursor receives at one cursor of a streamer. A receiver that fails may do so for
// good, as where its cursor is gone from a server. So another is opened then.
type cursor struct {
	open     func() (receiver, error)
	receiver receiver // nil after an error
}

func (c *cursor) recv(ctx context.Context) (*event, ack, error) {
	if c.receiver == nil {
		if err := c.reopen(); err != nil {
			return nil, nil, err
		}
	}
	e, ack, err := c.receiver.Recv(ctx)
	if err != nil {
		c.close()
	}
	return e, ack, err
}

func (c *cursor) reopen() error {
	r, err := c.open()
	if err == nil {
		c.receiver = r
	}
	return err
}

func (c *cursor) close() {
	if c.receiver != nil {
		_ = c.receiver.Close()
		c.receiver = nil
	}
}
