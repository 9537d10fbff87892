package demo

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"steward/cmd/internal/bench"
)

// A ServerCost is what the hand-over of one device costs the servers of both providers,
// from the draft to the last device at home: everything that they do, beside the
// handshakes that cannot be left out.
type ServerCost struct {
	AlphaMS    float64 `json:"alpha_ms"`     // CPU time of the former provider's process
	BetaMS     float64 `json:"beta_ms"`      // and of the new one's
	Handshakes float64 `json:"handshakes"`   // that both completed
	FloorMS    float64 `json:"handshake_ms"` // public-key operations of a server in one, measured now
}

// An account is what the processes of both providers have used and done so far.
type account struct {
	alpha, beta time.Duration
	handshakes  float64
	pids        [2]int // whose
}

var handshakesDone = regexp.MustCompile(`(?m)^steward_dtls_handshakes_total\{outcome="completed"\} (\S+)$`)

// account takes stock.
func (d *demo) account(ctx context.Context) (a account, err error) {
	for i, p := range []*provider{d.alpha, d.beta} {
		a.pids[i] = p.process.cmd.Process.Pid
		used, err := bench.CPUTime(a.pids[i])
		if err != nil {
			return a, err
		}
		*[]*time.Duration{&a.alpha, &a.beta}[i] = used
		text, err := p.api.Metrics(ctx)
		if err != nil {
			return a, err
		}
		if m := handshakesDone.FindSubmatch(text); m != nil {
			n, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				return a, err
			}
			a.handshakes += n
		}
	}
	return a, nil
}

// since returns the cost of a device since an earlier account; nil if a process is
// another one now.
func (a account) since(before account, devices int) (*ServerCost, error) {
	if a.pids != before.pids {
		return nil, nil //nolint:nilnil // nobody knows it
	}
	floor, err := bench.HandshakeFloor()
	each := func(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 / float64(devices) }
	return &ServerCost{
		AlphaMS: each(a.alpha - before.alpha), BetaMS: each(a.beta - before.beta),
		Handshakes: (a.handshakes - before.handshakes) / float64(devices),
		FloorMS:    float64(floor.Microseconds()) / 1000,
	}, err
}
