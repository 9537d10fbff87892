package ets_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

// calls is what campaigns need of devices.
type calls struct{ *server.Server }

func (c calls) Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := c.Server.Read(ctx, id, p)
	return entries, sorted(err)
}

func (c calls) Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return sorted(c.Server.Write(ctx, id, p, []lwm2m.Entry{{Path: p, Value: v}}, server.Replace))
}

func (c calls) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return sorted(c.Server.Execute(ctx, id, p, ""))
}

func (c calls) Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return sorted(c.Server.Observe(ctx, id, p, "test"))
}

func sorted(err error) error {
	var answer *server.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return fmt.Errorf("%w: %w", rollout.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", rollout.ErrUnreachable, err)
}

// A firmware is object 5 of a device of raw bytes.
type firmware struct {
	mu            sync.Mutex
	state, result int
	version       string
	got, uri      string
	fetched       [2]int // state and result after a package or URI
	updated       [2]int // after Update
	executed      int
}

// firmware gives a device object 5, with an image of 3000 bytes on its way.
func (d *device) firmware(f *firmware) {
	number := func(v *int) func(message) reply {
		return func(m message) reply {
			f.mu.Lock()
			defer f.mu.Unlock()
			_, observe := m.option(optObserve)
			return reply{code: 205, body: fmt.Sprint(*v), observe: observe}
		}
	}
	d.on("GET /5/0/3", number(&f.state))
	d.on("GET /5/0/5", number(&f.result))
	d.on("GET /5/0", func(message) reply {
		f.mu.Lock()
		defer f.mu.Unlock()
		body := []byte{0xc1, 3, byte(f.state), 0xc1, 5, byte(f.result), 0xc1, 9, 2}
		return reply{code: 205, format: 11542, body: string(body)}
	})
	d.on("GET /3/0/3", func(message) reply {
		f.mu.Lock()
		defer f.mu.Unlock()
		return reply{code: 205, body: f.version}
	})
	d.on("PUT /5/0/0", func(m message) reply { return f.take(m, &f.got, m.payload) })
	d.on("PUT /5/0/1", func(m message) reply { return f.take(m, &f.uri, m.payload) })
	d.on("POST /5/0/2", func(message) reply {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.state != 2 {
			return reply{code: 405, format: -1}
		}
		f.executed++
		f.state, f.result = f.updated[0], f.updated[1]
		if f.result == 1 {
			f.version = "2.0"
		}
		return reply{code: 204, format: -1}
	})
}

// take is a Write of Package or Package URI: nothing, or one byte of zero, resets.
func (f *firmware) take(m message, to *string, value string) reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if format, _ := m.option(optFormat); format == 11542 {
		for _, v := range tlvs(m.payload) {
			value = v
		}
	}
	*to = value
	if value == "" || value == "\x00" {
		f.state, f.result = 0, 0
	} else {
		f.state, f.result = f.fetched[0], f.fetched[1]
	}
	return reply{code: 204, format: -1}
}

var image = strings.Repeat("image!", 500)

// campaign updates alpha and returns how its job ended.
func campaign(t *testing.T, f *firmware, delivery rollout.Delivery) rollout.Line {
	t.Helper()
	x, d := registered(t, "ep=alpha&lt=86400&b=U", `</1/0>,</3/0>,</5/0>`)
	d.firmware(f)
	store := &rolltest.Store{}
	ctx := t.Context()
	r := rollout.Release{ID: "r", Version: "2.0", Sequence: 2, State: rollout.ReleaseApproved, Class: "c"}
	content := rollout.Content{Push: []byte(image), Pull: []byte("p"), Image: []byte(image)}
	x.must("release", store.AddRelease(ctx, r, content))
	store.Know(rollout.Candidate{Device: "alpha", Endpoint: "alpha", Ownership: fleet.Owned, Model: "m", Registered: true})
	x.update = &rollout.Endpoint{
		Payloads: rollout.NewPayloads(store, 1<<20), Budgets: rollout.NewBudgets(0), Log: slog.New(slog.DiscardHandler),
		Grants: rollout.NewGrants(func(context.Context, coap.Identity, string) (rollout.Grant, error) {
			return rollout.Grant{Device: "alpha", Campaign: "c"}, nil
		}),
	}
	runner, err := rollout.NewRunner(rollout.RunnerOptions{
		Store: store, Devices: calls{x.Server}, URI: func(id string) string { return rollout.EnvelopeURI("coap://h", id) },
	})
	x.must("runner", err)
	t.Cleanup(x.Subscribe(func(e server.Event) { runner.Wake(e.Device) }))
	start(t, runner.Run)
	_, err = runner.Start(ctx, rollout.Draft{
		ID: "c", Name: "c", Release: "r", Delivery: delivery, By: "ann", Snapshot: &rollout.Filter{},
		Plan: rollout.Plan{Retry: rollout.RetryMatrix{rollout.CodeOther: {}}},
	})
	x.must("campaign", err)
	if delivery == rollout.Pull {
		x.fetches(d, f)
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	lines, err := store.Lines(ctx, "c", rollout.Job{}, 10)
	x.must("lines", err)
	if len(lines) != 1 {
		t.Fatalf("%d jobs", len(lines))
	}
	return lines[0]
}

// fetches has a device load the image where its URI says.
func (x *world) fetches(d *device, f *firmware) {
	time.Sleep(time.Minute)
	f.mu.Lock()
	uri := f.uri
	f.mu.Unlock()
	if uri != "coap://h/update/e/r" {
		x.t.Errorf("Package URI %q", uri)
	}
	var body strings.Builder
	for n := uint32(0); ; n++ {
		m := d.expect("GET", d.do(1, "/update/p/r", "", -1, "", uintOption(optBlock2, n<<4|6)), 205)
		body.WriteString(m.payload)
		if block, _ := m.option(optBlock2); block&8 == 0 {
			break
		}
	}
	if body.String() != image {
		x.t.Errorf("fetched %d bytes", body.Len())
	}
	if m := d.do(1, "/update/e/r", "", -1, ""); m.payload != "p" {
		x.t.Errorf("envelope: %v", m)
	}
}

// ends checks how a campaign ended.
func ends(t *testing.T, f *firmware, delivery rollout.Delivery, state rollout.JobState, result, executed int) {
	t.Helper()
	j := campaign(t, f, delivery)
	if j.State != state || j.Result != result || f.executed != executed {
		t.Errorf("job %s with result %d (%s) after %d Updates, want %s, %d, %d",
			j.State, j.Result, j.Reason, f.executed, state, result, executed)
	}
}

func ets770(t *testing.T) {
	f := &firmware{state: 2, result: 8, fetched: [2]int{2, 0}, updated: [2]int{0, 1}}
	ends(t, f, rollout.Push, rollout.Done, 1, 1)
	if f.got != image {
		t.Errorf("package of %d bytes", len(f.got))
	}
}

func ets771(t *testing.T) {
	ends(t, &firmware{fetched: [2]int{2, 0}, updated: [2]int{0, 1}}, rollout.Pull, rollout.Done, 1, 1)
}

// failing is a case in which the device ends the download with a result.
func failing(result int, delivery rollout.Delivery) func(*testing.T) {
	return func(t *testing.T) {
		ends(t, &firmware{fetched: [2]int{0, result}}, delivery, rollout.Failed, result, 0)
	}
}

func ets779(t *testing.T) {
	for _, state := range []int{2, 0} { // both are seen
		t.Logf("state %d", state)
		ends(t, &firmware{fetched: [2]int{2, 0}, updated: [2]int{state, 8}}, rollout.Push, rollout.Failed, 8, 1)
	}
}

func firmwareWorld(t *testing.T) (*world, *device, *firmware) {
	x, d := registered(t, "ep=alpha&lt=86400&b=U", `</1/0>,</3/0>,</5/0>`)
	f := &firmware{fetched: [2]int{2, 0}, updated: [2]int{0, 1}}
	d.firmware(f)
	return x, d, f
}

func ets755(t *testing.T) {
	x, d, f := firmwareWorld(t)
	x.write("/5/0/0", lwm2m.Opaque([]byte{0}))
	x.write("/5/0/0", lwm2m.Opaque([]byte(image)))
	asked := d.taken()
	if len(asked) != 2 || f.got != image {
		t.Errorf("%d requests, package of %d bytes", len(asked), len(f.got))
	}
	same(t, "Read", x.read("/5/0"), []string{"/5/0/3=2", "/5/0/5=0", "/5/0/9=2"})
}

func ets756(t *testing.T) {
	x, _, f := firmwareWorld(t)
	x.write("/5/0/1", lwm2m.String(""))
	x.write("/5/0/1", lwm2m.String("coap://h/fw"))
	if !strings.HasSuffix(f.uri, "coap://h/fw") {
		t.Errorf("URI %q", f.uri)
	}
	same(t, "Read", x.read("/5/0"), []string{"/5/0/3=2", "/5/0/5=0", "/5/0/9=2"})
}

func ets760(t *testing.T) {
	x, d, _ := firmwareWorld(t)
	x.must("Observe", x.Observe(t.Context(), "alpha", path("/5/0/3"), "test"))
	token := d.taken()[0].token
	x.write("/5/0/0", lwm2m.Opaque([]byte(image)))
	for i, state := range []string{"1", "2"} {
		d.notify(non, token, uint32(2+i), text(state))
		if v := x.value("/5/0/3"); v != state {
			t.Errorf("state %s, want %s", v, state)
		}
	}
}

func ets772(t *testing.T) {
	x, _, f := firmwareWorld(t)
	err := x.Execute(t.Context(), "alpha", path("/5/0/2"), "")
	refusedWith(t, "Execute", err, coap.MethodNotAllowed)
	same(t, "Read", x.read("/5/0"), []string{"/5/0/3=0", "/5/0/5=0", "/5/0/9=2"})
	if f.executed != 0 {
		t.Error("executed")
	}
}
