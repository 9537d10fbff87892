package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Limits of a hand-over with scaled timers: what is usual, and what a fall-back
// after a long outage may take on a busy machine.
const (
	handOverLimit = 3 * time.Minute
	outage        = 700 * time.Millisecond // from kill -9 to the next start
)

// moments are the phases of a hand-over: decisions of people, and what devices
// report. A party dies right when one begins.
var moments = []string{
	"submit at Alpha", "approve at Beta", "approve at Alpha",
	"staged", "ready", "committed", "wiped", "enrolling", "done", "finalised",
}

// TestKill kills each party, and all at once, at each phase of a hand-over, as a
// power cut would, and starts them again. Every device must end at exactly one provider, managed by
// it, with one live certificate.
func TestKill(t *testing.T) {
	slow(t)
	for _, party := range []string{"Alpha", "Beta", "devices", "all"} {
		for _, moment := range moments {
			t.Run(party+" at "+moment, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 2)
				w.introduce(t)
				w.devices.run(t)
				w.online(t, w.alpha)
				w.draft(t)
				c := w.schedule(party, moment)
				w.handOver(t, c)
				if !c.done() {
					t.Errorf("the moment %q never came: %s was not killed", moment, party)
				}
				t.Logf("ended: %v", w.ends(t))
			})
		}
	}
}

// TestHandOver is the same with nobody killed: all devices move.
func TestHandOver(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 3)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.draft(t)
	w.handOver(t, nil)
	for name, at := range w.ends(t) {
		if at != w.beta.name {
			t.Errorf("%s ended at %s, want %s", name, at, w.beta.name)
		}
	}
	w.recorded(t)
	w.copiedKey(t)
}

// copiedKey tries, with a foreign client, what a copy of a device's factory key
// opens after the hand-over: nothing at the old provider, not even a handshake,
// and no certificate for another key at the new one.
func (w *world) copiedKey(t *testing.T) {
	t.Helper()
	d, thief := newDesk(t), w.factoryFiles(t, w.names[0])
	d.roots(t, w.alpha)
	before := len(refusals(t, w.alpha))
	eventually(t, waitLimit, "Alpha refuses the factory key", func() error {
		text, _ := d.try(t, "coap-client-openssl", "-c", thief.certFile, "-j", thief.keyFile, "-C", "root.pem",
			"-B", "5", w.alpha.uri()+"/est/crts")
		if len(refusals(t, w.alpha)) == before {
			return fmt.Errorf("no refusal is audited; the client printed %q", text)
		}
		return nil
	})
	d.roots(t, w.beta)
	d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "own.key")
	d.run(t, "openssl", "req", "-new", "-key", "own.key", "-subj", "/CN="+thief.endpoint, "-outform", "DER", "-out", "csr")
	body, text := d.coap(t, thief, 1024, w.beta.uri()+"/est/sen", "-m", "post", "-t", "286", "-A", "287", "-f", "csr")
	if !strings.Contains(text, "4.03") {
		t.Errorf("Beta answers a copy of the factory key with %d bytes, %q, want 4.03", len(body), text)
	}
	if live := w.live(t, w.beta, thief.endpoint); len(live) != 1 {
		t.Errorf("after that, live certificates are %v, want the device's own", live)
	}
}

// TestFallback sends devices to an enrolment server that is not there: all must
// come back to the provider that they left.
func TestFallback(t *testing.T) {
	slow(t)
	t.Parallel()
	nowhere, err := freeHost()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 2, "--public-coaps", nowhere+":5684")
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.draft(t)
	w.handOver(t, nil)
	for name, at := range w.ends(t) {
		if at != w.alpha.name {
			t.Errorf("%s ended at %s, want %s", name, at, w.alpha.name)
		}
	}
}

// TestLongOutage keeps the new provider dead from the first commit until every
// device that committed has given up once. While it is dead nobody can know whether it issued
// anything, so the old one takes no device back; when it lives again, each device
// ends at one of them.
func TestLongOutage(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 2)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.draft(t)
	w.devices.onEvent(func(e event) {
		if e.Kind == "committed" {
			_ = w.beta.cmd.Process.Kill() // the first commit does it
		}
	})
	eventually(t, handOverLimit, "devices turn back", func() error {
		_ = w.decide(t.Context()) // Beta is dead at some time
		committed, back := w.devices.happened("committed"), w.devices.happened("falling_back")
		if len(back) == 0 || len(back) < len(committed) {
			return fmt.Errorf("%d of %d turned back", len(back), len(committed))
		}
		return nil
	})
	<-w.beta.ended
	w.devices.onEvent(nil)
	w.beta.restart(t)
	w.handOver(t, nil)
	t.Logf("ended: %v", w.ends(t))
}

// A victim is a process that is killed and started again.
type victim interface {
	die()
	gone() <-chan struct{}
	again(t *testing.T)
}

func (p *process) die()                  { _ = p.cmd.Process.Kill() } // not waited for: an event's writer may call
func (p *process) gone() <-chan struct{} { return p.ended }
func (p *provider) again(t *testing.T)   { t.Helper(); p.restart(t) }
func (f *fleet) again(t *testing.T)      { t.Helper(); f.run(t) }

// A crash is the death of victims at a moment, once.
type crash struct {
	victims []victim
	once    sync.Once
	came    chan struct{} // closed when the moment came
	back    bool
}

// schedule arranges that a party, or all, are killed when the moment comes.
func (w *world) schedule(party, moment string) *crash {
	c := &crash{came: make(chan struct{})}
	for name, v := range map[string]victim{"Alpha": w.alpha, "Beta": w.beta, "devices": w.devices} {
		if party == name || party == "all" {
			c.victims = append(c.victims, v)
		}
	}
	w.moment = func(now string) {
		if now == moment {
			c.once.Do(func() {
				for _, v := range c.victims {
					v.die()
				}
				close(c.came)
			})
		}
	}
	w.devices.onEvent(func(e event) { w.moment(e.Kind) })
	return c
}

func (c *crash) done() bool {
	select {
	case <-c.came:
		return true
	default:
		return false
	}
}

// recover starts again who was killed.
func (c *crash) recover(t *testing.T) {
	t.Helper()
	if c == nil || c.back || !c.done() {
		return
	}
	for _, v := range c.victims {
		<-v.gone()
	}
	pause(t, outage)
	for _, v := range c.victims {
		v.again(t)
	}
	c.back = true
}

// handOver leads the transfer to its end, through the crash unless nil.
func (w *world) handOver(t *testing.T, c *crash) {
	t.Helper()
	eventually(t, handOverLimit, "the transfer ends", func() error {
		c.recover(t)
		_ = w.decide(t.Context()) // somebody may be dead; what was not decided is tried again
		return w.settled(t.Context())
	})
}

// A row is what the tests look at in a device of a transfer.
type row struct{ Endpoint, State, Reason string }

// closed are the states of a row at which nothing more happens, and where the
// device belongs then.
var closed = map[string]string{
	"REVOKED_OLD": "Beta", "FELL_BACK": "Alpha", "ABORTED": "Alpha", "EXPIRED": "Alpha", "REJECTED": "Alpha",
	"ENROL_FAILED": "Alpha", "FAILED_UPDATE": "Alpha",
}

// settled returns nil when Alpha's transfer has closed every row and each device
// is where its row says, online and owned there, and nowhere else.
func (w *world) settled(ctx context.Context) error {
	list, err := w.alpha.transfers(ctx)
	if err != nil || len(list) == 0 {
		return errors.Join(err, errors.New("no transfer"))
	}
	var rows page[row]
	path := "/api/v1/transfers/" + list[0].ID + "/rows?page_size=200"
	if err := w.alpha.do(ctx, http.MethodGet, path, nil, &rows); err != nil {
		return err
	}
	atAlpha, errAlpha := w.alpha.devices(ctx)
	atBeta, errBeta := w.beta.devices(ctx)
	if err := errors.Join(errAlpha, errBeta); err != nil {
		return err
	}
	if len(rows.Items) != len(w.names) {
		return fmt.Errorf("%s: %d rows, want %d", list[0].State, len(rows.Items), len(w.names))
	}
	for _, r := range rows.Items {
		if err := r.settled(atAlpha[r.Endpoint].State, atBeta[r.Endpoint].State); err != nil {
			return fmt.Errorf("transfer %s: %w", list[0].State, err)
		}
	}
	return nil
}

// settled returns nil when the row is closed and the device's states at the two
// providers agree with it.
func (r row) settled(alpha, beta string) error {
	where, over := closed[r.State]
	switch {
	case !over:
	case where == "Beta" && alpha == "left" && beta == "online":
		return nil
	case where == "Alpha" && alpha == "online" && beta != "online":
		return nil
	}
	return fmt.Errorf("%s is %s %s, %q at Alpha and %q at Beta", r.Endpoint, r.State, r.Reason, alpha, beta)
}

// ends says for each device where it ended, after checking that it is there and
// nowhere else: it answers there, and has its one live certificate there.
func (w *world) ends(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range w.names {
		var live []string
		for _, p := range []*provider{w.alpha, w.beta} {
			for range w.live(t, p, name) {
				live = append(live, p.name)
			}
		}
		if len(live) != 1 {
			t.Errorf("%s has live certificates at %v, want one", name, live)
			continue
		}
		out[name] = live[0]
		home := w.alpha
		if live[0] == w.beta.name {
			home = w.beta
		}
		w.answers(t, home, name)
	}
	return out
}

// live returns the live certificates that p issued to a device.
func (w *world) live(t *testing.T, p *provider, name string) []string {
	t.Helper()
	var list page[struct{ ID, Subject string }]
	p.get(t, "/api/v1/ca/certificates?page_size=200&state=live&q="+name, &list)
	var ids []string
	for _, c := range list.Items {
		ids = append(ids, c.ID)
	}
	return slices.Compact(ids)
}
