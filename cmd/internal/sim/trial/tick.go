package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/client"
)

// tick changes values, and sends what has changed.
func (l *life) tick(ctx context.Context) {
	var history []lwm2m.Entry
	sent := time.Now()
	for n := 1; wait(ctx, l.d.o.Every); n++ {
		now := time.Now()
		for _, v := range l.d.values {
			e := v.step(n, now)
			e.Path, e.Time = v.report, now
			if l.d.o.SendEvery > 0 && len(history) < maxHistory {
				history = append(history, e)
			}
		}
		if l.d.o.SendEvery > 0 && now.Sub(sent) >= l.d.o.SendEvery {
			sent, history = now, l.report(ctx, history)
		}
	}
}

// maxHistory is how many values are kept for Send.
const maxHistory = 256

// report sends history to every server, and returns what is still to be sent.
func (l *life) report(ctx context.Context, history []lwm2m.Entry) []lwm2m.Entry {
	l.mu.Lock()
	peers := make([]*Link, 0, len(l.accounts))
	for p := range l.accounts {
		peers = append(peers, l.links[p])
	}
	l.mu.Unlock()
	kept := history
	for _, k := range peers {
		switch err := l.cl.SendHistory(ctx, k.Peer, history...); {
		case err == nil:
			kept = nil
			l.d.event(sim.Event{Kind: Sent, Server: k.Peer.String(), Detail: fmt.Sprint(len(history)) + " values"})
		case !errors.Is(err, client.ErrMuted): // perhaps the server does not know this address
			l.cl.RequestUpdate(k.Peer)
		}
	}
	return kept
}

// wait waits and reports whether ctx is still good.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
