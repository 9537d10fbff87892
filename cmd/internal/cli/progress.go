package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A progress shows on a terminal how far something is, on a line of its own. It writes
// nothing to what is no terminal.
type progress struct {
	w    io.Writer // nil: nobody looks
	long int       // of the line that is shown
}

func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return &progress{w: w}
		}
	}
	return &progress{}
}

// barWidth is the width of a full bar, in characters.
const barWidth = 30

// show shows done of total, and words.
func (p *progress) show(done, total int, words string) {
	full := barWidth * done / max(total, 1)
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	p.say(fmt.Sprintf("[%s] %d/%d %s", bar, done, total, words))
}

// say shows words.
func (p *progress) say(words string) {
	if p.w == nil {
		return
	}
	_, _ = fmt.Fprintf(p.w, "\r%s%s", words, strings.Repeat(" ", max(p.long-len(words), 0))) // only to be looked at
	p.long = len(words)
}

// end removes the line.
func (p *progress) end() {
	if p.w != nil && p.long > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.long)) // as above
	}
}
