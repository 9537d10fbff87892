package pagebench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"steward/web/api"
	"steward/web/ui"
)

// errStatus reports an answer that is no success.
var errStatus = errors.New("status")

// unmeasured are patterns that answer for as long as somebody listens, or ask a
// device.
var unmeasured = []string{"/events", api.Prefix + "/events", api.Prefix + "/devices/{id}/lwm2m/*"}

// fileTimes bounds how often a file of all rows is asked for: it may have a million.
const fileTimes = 3

// measure asks for every page and list.
func (r *run) measure(ctx context.Context) error {
	ids, err := r.ids(ctx)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec,mnd // the same addresses in each run
	for _, pattern := range slices.Concat(ui.Pages(), api.Patterns()) {
		if slices.Contains(unmeasured, pattern) || !strings.Contains(pattern, r.o.Only) {
			continue
		}
		path, ok := ids.fill(pattern)
		if !ok {
			r.result.Unknown = append(r.result.Unknown, pattern)
			continue
		}
		for _, k := range kindsOf(pattern) {
			if err := r.ask(ctx, pattern, k, random, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask measures one kind of address.
func (r *run) ask(ctx context.Context, pattern string, k kind, random *rand.Rand, path func(*rand.Rand) string) error {
	target := func() string {
		query := k.query(ids{r}, random)
		if query != "" {
			query = "?" + query
		}
		return path(random) + query
	}
	switch a, err := r.web.get(ctx, target()); { // the first prepares its statements
	case errors.Is(err, errStatus) && (a.status < http.StatusInternalServerError || a.status == http.StatusNotImplemented):
		r.result.Unknown = append(r.result.Unknown, fmt.Sprintf("%s (%s: %d)", pattern, cmp.Or(k.name, "plain"), a.status))
		return nil
	case err != nil:
		return err
	}
	var took []time.Duration
	var size int64
	begun := cpu()
	times := r.o.Times
	if file(pattern) {
		times = min(times, fileTimes)
	}
	for range times {
		a, err := r.web.get(ctx, target())
		if err != nil {
			return err
		}
		took, size = append(took, a.took), max(size, a.size)
	}
	p := page(pattern, k.name, took, cpu()-begun, size)
	p.File = file(pattern)
	r.result.Pages = append(r.result.Pages, p)
	r.say("%-60s %-28s p95 %6.1f ms, CPU %6.1f ms", pattern, k.name, p.P95, p.CPU)
	return nil
}

// cpu returns the CPU time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for a bad argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
