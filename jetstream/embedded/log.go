package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog writes the server's log to a slog.Logger. It keeps the last fatal
// error, which is all that a server returns that cannot start.
type serverLog struct {
	to *slog.Logger

	mu   sync.Mutex
	last string // the last fatal error
}

func (l *serverLog) Noticef(format string, v ...any) { l.to.Info(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.to.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

func (l *serverLog) Fatalf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	l.to.Error(message)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = message
}

// fatal returns the last fatal error, or an empty string.
func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
