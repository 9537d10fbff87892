package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestAgreements walks through what two providers may agree on before devices move:
// information that is revised, a window that ends later, a transfer that is cancelled
// and drafted again. All of it between two processes.
func TestAgreements(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newCalmWorld(t, 2)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	at := func(hours int) time.Time {
		return time.Now().Add(time.Duration(hours) * time.Hour).UTC().Truncate(time.Second)
	}
	w.draftFrom(t, at(1)) // until at(2)
	list, err := w.alpha.transfers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("transfers: %+v, %v", list, err)
	}
	id := list[0].ID
	command := func(p *provider, c map[string]any) {
		t.Helper()
		eventually(t, handOverLimit, fmt.Sprint(c["action"], " at ", p.name), func() error {
			return p.do(t.Context(), "POST", "/api/v1/transfers/"+id+"/commands", c, nil)
		})
	}
	state := func(p *provider, want string) {
		t.Helper()
		eventually(t, handOverLimit, want+" at "+p.name, func() error {
			var x transfer
			if err := p.do(t.Context(), "GET", "/api/v1/transfers/"+id, nil, &x); err != nil || x.State != want {
				return errors.Join(err, fmt.Errorf("it is %s", x.State))
			}
			return nil
		})
	}
	command(w.alpha, map[string]any{"action": "submit"})
	state(w.beta, "INFO_ACCEPTED")
	command(w.beta, map[string]any{"action": "approve"})
	state(w.alpha, "OFFERED")
	command(w.alpha, map[string]any{"action": "revise", "reason": "updated"})
	state(w.beta, "INFO_ACCEPTED") // the offer is void
	command(w.beta, map[string]any{"action": "approve"})
	state(w.alpha, "OFFERED")
	command(w.alpha, map[string]any{"action": "approve"})
	state(w.alpha, "ARMED") // all devices are READY, the window has not begun
	state(w.beta, "STAGING")

	later := at(3)
	command(w.alpha, map[string]any{"action": "extend", "latest": later, "reason": "it sleeps"})
	command(w.beta, map[string]any{"action": "extend"})
	eventually(t, handOverLimit, "the window ends later", func() error {
		for _, p := range []*provider{w.alpha, w.beta} {
			var x struct{ Latest time.Time }
			if err := p.do(t.Context(), "GET", "/api/v1/transfers/"+id, nil, &x); err != nil || !x.Latest.Equal(later) {
				return errors.Join(err, fmt.Errorf("at %s it ends %s", p.name, x.Latest))
			}
		}
		return nil
	})

	command(w.alpha, map[string]any{"action": "cancel", "reason": "not so"})
	state(w.beta, "CANCELLED")
	command(w.alpha, map[string]any{"action": "again", "latest": at(1)})
	eventually(t, handOverLimit, "all devices have moved by the second transfer", func() error {
		if err := w.decide(t.Context()); err != nil {
			return err
		}
		list, err := w.beta.transfers(t.Context())
		if err != nil || list[0].ID == id || list[0].State != "COMPLETE" {
			return errors.Join(err, fmt.Errorf("transfers of Beta: %+v", list))
		}
		return nil
	})
	for name, at := range w.ends(t) {
		if at != w.beta.name {
			t.Errorf("%s ended at %s", name, at)
		}
	}
}
