package demo

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	barWidth  = 30
	maxLines  = 12 // live lines of devices on a terminal; more would scroll away
	clearLine = "\x1b[2K\r"
	lineUp    = "\x1b[1A"
)

// A screen shows what happens: a heading for each phase, a progress bar, and a
// live line for each device where there is a terminal; plain lines elsewhere.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool
	total int
	began time.Time

	title   string
	done    int
	devices map[string]string // endpoint → last event
	drawn   int               // lines below the heading
}

func newScreen(w io.Writer, total int) *screen {
	f, ok := w.(*os.File)
	return &screen{
		w: w, live: ok && term.IsTerminal(int(f.Fd())), total: total, began: time.Now(), devices: map[string]string{},
	}
}

func (s *screen) timers(t Timers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(fmt.Sprintf("timers of this demonstration: grace %v, retry %v, CoAP ACK_TIMEOUT %v\n",
		t.Grace, t.Retry, t.AckTimeout))
}

// phase begins a phase.
func (s *screen) phase(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.title, s.done = title, -1
	s.print(fmt.Sprintf("%6.1fs  %s\n", time.Since(s.began).Seconds(), title))
}

// note says what happens besides.
func (s *screen) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.print(fmt.Sprintf("%6.1fs    %s\n", time.Since(s.began).Seconds(), text))
}

// progress says how many devices of the phase are done.
func (s *screen) progress(done int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done == s.done {
		return
	}
	s.done = done
	if s.live {
		s.draw()
	} else if done == s.total {
		s.print(fmt.Sprintf("         %d of %d\n", done, s.total))
	}
}

// device shows what happened to a device.
func (s *screen) device(endpoint, event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[endpoint] = event
	if s.live {
		s.draw()
		return
	}
	s.print(fmt.Sprintf("%6.1fs    %s  %s\n", time.Since(s.began).Seconds(), endpoint, event))
}

// draw renews the live part. The caller holds mu.
func (s *screen) draw() {
	s.erase()
	lines := []string{}
	if s.done >= 0 {
		filled := barWidth * s.done / max(s.total, 1)
		lines = append(lines, fmt.Sprintf("         [%s%s] %d of %d", strings.Repeat("#", filled),
			strings.Repeat(".", barWidth-filled), s.done, s.total))
	}
	names := slices.Sorted(maps.Keys(s.devices))
	for _, name := range names[:min(len(names), maxLines)] {
		lines = append(lines, "         "+name+"  "+s.devices[name])
	}
	if more := len(names) - maxLines; more > 0 {
		lines = append(lines, fmt.Sprintf("         … and %d more", more))
	}
	for _, l := range lines {
		s.print(l + "\n")
	}
	s.drawn = len(lines)
}

// erase takes the live part away. The caller holds mu.
func (s *screen) erase() {
	for range s.drawn {
		s.print(lineUp + clearLine)
	}
	s.drawn = 0
}

// finish leaves the bar of the phase and drops the devices' lines.
func (s *screen) finish() {
	if !s.live || s.title == "" {
		return
	}
	devices := s.devices
	s.devices = map[string]string{}
	s.draw()
	s.devices, s.drawn = devices, 0
}

func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.title = ""
}

// print writes to stderr, where nobody can be told of an error.
func (s *screen) print(text string) { _, _ = io.WriteString(s.w, text) }
