package rollout_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

// A recorder is a device that notes what is done to it.
type recorder struct {
	prober

	mu    sync.Mutex
	calls []string
	slow  time.Duration // between the blocks of a push
	dead  bool          // acknowledges no block
}

func (r *recorder) note(what string, p lwm2m.Path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, what+" "+p.String())
}

func (r *recorder) Write(ctx context.Context, _ fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	r.note("write", p)
	if r.dead {
		<-ctx.Done()
		return rollout.ErrUnreachable
	}
	// As the engine does, block by block.
	client, server := coap.New(coap.Options{}), coap.New(coap.Options{
		Handler: coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
			return &coap.Response{Code: coap.Changed}
		}),
	})
	to, _ := coap.Join(client, server, coap.Medium{Delay: r.slow})
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { _ = client.Run(run) })
	wg.Go(func() { _ = server.Run(run) })
	defer wg.Wait()
	defer stop()
	_, err := client.Do(ctx, to, &coap.Request{Method: coap.PUT, Path: []string{"x"}, Payload: []byte(v.Plain())})
	return err
}

func (r *recorder) Execute(_ context.Context, _ fleet.ID, p lwm2m.Path) error {
	r.note("execute", p)
	return nil
}

func (r *recorder) Observe(_ context.Context, _ fleet.ID, p lwm2m.Path) error {
	r.note("observe", p)
	return nil
}

func TestCourierByComponent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &recorder{prober: *advanced("fw", "modem")}
		d.entries = append(d.entries, lwm2m.Entry{
			Path: lwm2m.NewPath(objects.AdvancedFirmwareID, 1, objects.AdvancedCurrent), Value: lwm2m.String("7"),
		})
		c, r := courier(t, d, nil, "modem")
		o := rollout.Order{Device: "a", Release: r, Delivery: rollout.Push}
		s, err := c.Status(t.Context(), o)
		if err != nil || s.State != objects.FirmwareIdle {
			t.Fatalf("Status = %+v, %v", s, err)
		}
		s.Result = int(objects.FirmwareConflict) // something was left
		err = errors.Join(c.Prepare(t.Context(), o, s), c.Deliver(t.Context(), o), c.Execute(t.Context(), o))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"observe /33629/1/3", "observe /33629/1/5", "write /33629/1/1", "write /33629/1/0", "execute /33629/1/2",
		}
		if !slices.Equal(d.calls, want) {
			t.Errorf("calls %q, want %q", d.calls, want)
		}
		if v, err := c.Version(t.Context(), o); err != nil || v != "7" {
			t.Errorf("Version = %q, %v", v, err)
		}
	})
}

func TestPushTakesAsLongAsItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &recorder{prober: *plain(objects.Firmware{Delivery: objects.DeliveryBoth}, nil, 64), slow: time.Second}
		c, r := courier(t, d, nil, strings.Repeat("f", 200)) // 120 KB in 118 blocks
		o := rollout.Order{Device: "a", Release: r, Delivery: rollout.Push}
		begin := time.Now()
		if err := c.Deliver(t.Context(), o); err != nil || time.Since(begin) < 3*time.Minute {
			t.Errorf("Deliver = %v after %v", err, time.Since(begin))
		}
		d.dead = true
		if err := c.Deliver(t.Context(), o); !errors.Is(err, rollout.ErrUnreachable) {
			t.Errorf("Deliver to a dead device = %v, want ErrUnreachable", err)
		}
		d.dead, d.slow, o.BytesPerSecond = false, 0, 1<<10
		begin = time.Now()
		if err := c.Deliver(t.Context(), o); err != nil || time.Since(begin) < 100*time.Second {
			t.Errorf("Deliver within a budget = %v after %v", err, time.Since(begin))
		}
	})
}

// TestOwnURIsOnly checks that devices are sent nowhere but to us, whatever a manifest
// or a release calls itself.
func TestOwnURIsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		d := &recorder{prober: *plain(objects.Firmware{Delivery: objects.DeliveryPull}, nil, 64)}
		store := &rolltest.Store{}
		evil := rollout.Release{ID: "r", Name: "coaps://evil.example/x", Version: "http://evil.example"}
		err := store.AddRelease(t.Context(), evil, rollout.Content{
			Pull: envelope(t, 5, "coaps://169.254.169.254/latest", "fw"),
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := rollout.NewCourier(rollout.CourierOptions{
			Releases: store, Payloads: rollout.NewPayloads(store, 0), Budgets: rollout.NewBudgets(0),
			Devices:   uris{d, &got},
			Installed: func(context.Context, fleet.ID) ([]rollout.Installed, error) { return nil, nil },
			URI:       func(id string, _ []objects.FirmwareProtocol) string { return rollout.EnvelopeURI("coaps://us", id) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Deliver(t.Context(), rollout.Order{Device: "a", Release: evil, Delivery: rollout.Pull}); err != nil {
			t.Fatal(err)
		}
		if want := []string{"coaps://us/update/e/r"}; !slices.Equal(got, want) {
			t.Errorf("URIs sent %q, want %q", got, want)
		}
	})
}

type uris struct {
	*recorder

	got *[]string
}

func (u uris) Write(_ context.Context, _ fleet.ID, _ lwm2m.Path, v lwm2m.Value) error {
	*u.got = append(*u.got, v.Text())
	return nil
}

// failureOf runs a manifest on a device of another class and returns the report.
func failureOf(t *testing.T, raw []byte) *suit.Report {
	t.Helper()
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Sections[suit.SectionShared] {
		if c.Code == suit.ConditionClass {
			return &suit.Report{Digest: e.Digest, Failure: &suit.Failure{
				Reason: suit.ReportCondition, Code: 12,
				Record: suit.Record{Section: suit.ElementManifest, Offset: c.Offset},
			}}
		}
	}
	t.Fatal("no condition")
	return nil
}

func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reports := &rolltest.Store{}, &rolltest.Reports{}
		raw := envelope(t, 5, "", "fw")
		failure := failureOf(t, raw)
		r := rollout.Release{ID: "r", Manifest: [2]suit.Digest{failure.Digest, {}}}
		if err := store.AddRelease(t.Context(), r, rollout.Content{Push: raw}); err != nil {
			t.Fatal(err)
		}
		p, err := rollout.NewReporter(rollout.ReporterOptions{
			Store: reports, Releases: store,
			Current: func(context.Context, fleet.ID) (rollout.Release, error) { return r, nil },
			Who: func(_ context.Context, who coap.Identity) (fleet.ID, error) {
				if who.Name != "a" {
					return "", rollout.ErrUnknown
				}
				return "a", nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		o := rollout.Order{Device: "a", Release: r, Delivery: rollout.Push}
		if got, err := p.Told(ctx, o, true); err != nil || got != "" {
			t.Errorf("Told before the report = %q, %v", got, err)
		}
		time.AfterFunc(time.Second, func() {
			base := lwm2m.NewPath(objects.AppDataID, 0)
			p.Sent("a", objects.AppData{
				Data: map[uint16][]byte{0: failure.Encode()}, Format: "application/suit-report+cose",
			}.Entries(base))
			p.Sent("a", objects.AppData{Data: map[uint16][]byte{0: {1}}, Format: "other"}.Entries(base))
			p.Sent("a", []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(1)}})
		})
		want := "made for another class of devices (condition-class-identifier, component 0)"
		if got, err := p.Told(ctx, o, true); err != nil || got != want {
			t.Errorf("Told = %q, %v, want %q", got, err, want)
		}
		post := func(who caller, format uint16, body []byte) coap.Code {
			return p.ServeCoAP(ctx, &coap.Request{
				Peer: who, Method: coap.POST, ContentFormat: coap.FormatID(format), Payload: body,
			}).Code
		}
		good := (&suit.Report{Digest: failure.Digest}).Encode()
		for _, tt := range []struct {
			name   string
			who    caller
			format uint16
			body   []byte
			want   coap.Code
		}{
			{"success", "a", 270, good, coap.Changed},
			{"another format", "a", 60, good, coap.UnsupportedContentFormat},
			{"no report", "a", 270, []byte("x"), coap.BadRequest},
			{"nothing", "a", 270, nil, coap.BadRequest},
			{"too long", "a", 270, make([]byte, 70000), coap.RequestEntityTooLarge},
			{"nobody", "b", 270, good, coap.Forbidden},
		} {
			if got := post(tt.who, tt.format, tt.body); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
		got, err := reports.ReportsOf(ctx, "a", 9)
		if err != nil || len(got) != 1 || !got[0].Succeeded || got[0].Release != "r" {
			t.Errorf("ReportsOf = %+v, %v", got, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestExplain(t *testing.T) {
	e, err := suit.Decode(envelope(t, 5, "", "fw", "modem"), suit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var match suit.Command
	for _, c := range m.Sections[suit.SectionInstall] {
		if c.Code == suit.ConditionImageMatch {
			match = c
		}
	}
	at := suit.Record{Section: suit.ElementInstall, Offset: match.Offset, Component: 1}
	for _, tt := range []struct {
		f    suit.Failure
		m    *suit.Manifest
		want string
	}{
		{
			suit.Failure{Record: at, Reason: suit.ReportCondition},
			m,
			"image digest does not match (condition-image-match, component 1)",
		},
		{suit.Failure{Record: at, Reason: suit.ReportCondition, Code: 3}, nil, "condition not met (reason 10, code 3)"},
		{suit.Failure{Reason: suit.ReportUnauthorised}, m, "not authentic (reason 4, code 0)"},
	} {
		if got := rollout.Explain(&tt.f, tt.m); got != tt.want {
			t.Errorf("Explain = %q, want %q", got, tt.want)
		}
	}
}
