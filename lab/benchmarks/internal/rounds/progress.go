package rounds

import (
	"fmt"
	"os"
	"time"
)

// progress tells what is under way: on a terminal in one line that it rewrites,
// elsewhere by a line every half a minute.
type progress struct {
	out      *os.File
	terminal bool
	said     time.Time
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) say(format string, args ...any) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
	} else if time.Since(p.said) >= 30*time.Second {
		fmt.Fprintf(p.out, format+"\n", args...)
		p.said = time.Now()
	}
}

// clear removes the line from a terminal.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// left says how long the rest of all will take, if it goes on as those done have.
func left(taken time.Duration, done, all int) string {
	if done == 0 {
		return ""
	}
	rest := taken * time.Duration(all-done) / time.Duration(done)
	return fmt.Sprintf(", about %v left", rest.Round(time.Second))
}
