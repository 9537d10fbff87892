// Package pagebench measures what pages and lists cost a server whose database is
// large: a provider of its own over a directory that it fills, asked by HTTP as
// browsers and scripts ask it.
package pagebench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
)

// ErrOptions reports Options that Run refuses.
var ErrOptions = errors.New("unusable options")

// Limit is what 95 of 100 answers may take.
const Limit = 100 * time.Millisecond

// Options configure a run. Zero means the default named.
type Options struct {
	Devices      int // 100,000
	Events       int // rows of the audit; 1,000,000
	Certificates int // 100,000
	Times        int // that each address is asked; 100
	// Data is the directory of a provider that was filled by a run before, or is to be
	// filled and kept; "": one that is removed at the end.
	Data string
	Only string // part of the patterns that are measured; "": all
	// Progress receives lines for people; nil: nobody.
	Progress io.Writer
}

const (
	maxDevices = 1_000_000
	maxEvents  = 10_000_000
	maxTimes   = 10_000
)

func (o Options) withDefaults() (Options, error) {
	for _, l := range []struct {
		name              string
		value             *int
		zero, least, most int
	}{
		{"devices", &o.Devices, 100_000, 20, maxDevices},
		{"events", &o.Events, 1_000_000, 1, maxEvents},
		{"certificates", &o.Certificates, 100_000, 10, maxDevices},
		{"times", &o.Times, 100, 1, maxTimes},
	} {
		if *l.value == 0 {
			*l.value = l.zero
		}
		if *l.value < l.least || *l.value > l.most {
			return o, fmt.Errorf("%w: %s %d, want %d to %d", ErrOptions, l.name, *l.value, l.least, l.most)
		}
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o, nil
}

// Run fills and measures. It returns ErrOptions, or what kept it from measuring;
// that something is slow is in the result.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Data == "" {
		if o.Data, err = os.MkdirTemp("", "steward-bench-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
	}
	r := &run{o: o, result: &Result{Devices: o.Devices, Events: o.Events, Certificates: o.Certificates}}
	if _, err := os.Stat(filepath.Join(o.Data, filledFile)); err != nil {
		if err := r.prepare(ctx); err != nil {
			return nil, err
		}
	}
	err = r.serve(ctx, func() error { return r.measure(ctx) })
	return r.result, err
}

// filledFile marks a directory that is filled.
const filledFile = "filled-by-bench"

// prepare fills a new directory. What only a server can make, it makes first.
func (r *run) prepare(ctx context.Context) error {
	if err := r.serve(ctx, func() error { return r.publish(ctx) }); err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.o.Data, filledFile), nil, 0o600)
}

// A run is one under way.
type run struct {
	o      Options
	web    *client
	known  known
	result *Result
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.o.Progress, format+"\n", args...) // talk
}

// serve runs the provider while do does something with it.
func (r *run) serve(ctx context.Context, do func() error) error {
	o := config.Default()
	o.Data, o.Name, o.Host, o.AllowTestRange = r.o.Data, "bench", "127.0.0.1", true
	o.RESTRate = -1 // one caller asks as fast as it can
	var err error
	if o.HTTP, err = freeAddress(ctx); err != nil {
		return err
	}
	o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "off"
	cfg, err := config.New(o)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg, quiet())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- a.Run(ctx) }()
	if r.web, err = signIn(ctx, a, r.o.Data); err == nil {
		err = do()
	}
	cancel()
	return errors.Join(err, <-failed, a.Close())
}
