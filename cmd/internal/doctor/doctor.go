// Package doctor looks at a provider, running or stopped, and at the machine below it,
// and says what is wrong and what helps. It changes nothing.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
)

// A Level says how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, and may not for long
	Error   Level = "error"   // it does not work, or is not safe
)

// A Finding is what one check saw.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"` // what helps; "" where nothing must
}

// Options say what is looked at.
type Options struct {
	Config config.Config // of the provider; required
	// TimeURL is an HTTP server whose clock ours is compared with; "": none is asked.
	TimeURL string
	// Quick leaves out what reads the whole database.
	Quick bool
	Built time.Time // when the program was built; zero: not known
	Now   func() time.Time
	// Patience is for each look over a network; zero is 5 s.
	Patience time.Duration
}

// An examination is one run.
type examination struct {
	Options

	ctx     context.Context //nolint:containedctx // lives no longer than Examine
	running bool
	out     []Finding
}

const defaultPatience = 5 * time.Second

// Examine looks at everything, and returns what it saw in order.
func Examine(ctx context.Context, o Options) []Finding {
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	e := &examination{Options: o, ctx: ctx}
	e.directory()
	e.clock()
	e.machine()
	e.disk()
	e.certificates()
	e.factoryCRLs()
	e.database()
	e.listeners()
	e.reach() //nolint:contextcheck // it is that of the examination
	return e.out
}

// Worst returns the worst level of findings.
func Worst(all []Finding) Level {
	worst := OK
	for _, f := range all {
		if f.Level == Error || f.Level == Warning && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

func (e *examination) ok(check, format string, args ...any) {
	e.out = append(e.out, Finding{Check: check, Level: OK, Text: fmt.Sprintf(format, args...)})
}

func (e *examination) add(check string, level Level, remedy, format string, args ...any) {
	e.out = append(e.out, Finding{check, level, fmt.Sprintf(format, args...), remedy})
}

func (e *examination) file(name ...string) string {
	return filepath.Join(append([]string{e.Config.Data}, name...)...)
}

// directory looks at the data directory and whether a process has it.
func (e *examination) directory() {
	const check = "data directory"
	running, err := app.Running(e.Config.Data)
	if err != nil {
		e.add(check, Warning, "run steward serve, which makes it, or name another by --data",
			"%s cannot be looked at: %v", e.Config.Data, err)
		return
	}
	e.running = running
	state := "no process has it"
	if running {
		state = "a provider is running on it"
	}
	e.ok(check, "%s: %s", e.Config.Data, state)
	open := e.openFiles()
	if len(open) == 0 {
		e.ok("permissions", "only the owner can read keys and database")
	}
	for _, f := range open {
		e.add("permissions", Error, "chmod go= "+f, "others may read or write %s", f)
	}
}

// openFiles returns what in the directory others than the owner can use.
func (e *examination) openFiles() (open []string) {
	names := []string{e.file("steward.db"), e.file("admin.token"), e.file("machine", "key"), e.file("revocations")}
	keys, _ := filepath.Glob(e.file("keys", "*")) // the pattern is ours
	for _, name := range append(names, keys...) {
		if shared(name) {
			open = append(open, name)
		}
	}
	slices.Sort(open)
	return open
}
