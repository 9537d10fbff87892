package bootstrap_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

func account(short uint16) bootstrap.Account {
	s, v := lwm2m.NewPath(0, 0), lwm2m.NewPath(1, 0)
	id := lwm2m.Integer(int64(short))
	return bootstrap.Account{
		Short: short,
		Security: []lwm2m.Entry{
			{Path: s.Child(0), Value: lwm2m.String("coap://192.0.2.9")},
			{Path: s.Child(1), Value: lwm2m.Boolean(false)},
			{Path: s.Child(2), Value: lwm2m.Integer(3)},
			{Path: s.Child(10), Value: id},
		},
		Server: []lwm2m.Entry{
			{Path: v.Child(0), Value: id},
			{Path: v.Child(1), Value: lwm2m.Integer(300)},
			{Path: v.Child(7), Value: lwm2m.String("U")},
		},
	}
}

func oneServer() bootstrap.Configuration {
	return bootstrap.Configuration{Accounts: []bootstrap.Account{account(101)}}
}

func always(c bootstrap.Configuration) func(context.Context, fleet.ID) (bootstrap.Configuration, error) {
	return func(context.Context, fleet.ID) (bootstrap.Configuration, error) { return c, nil }
}

// bootstrapped sends a Bootstrap-Request and waits for the end of the session.
func bootstrapped(t *testing.T, d *device, c bootstrap.Configuration, query ...string) (
	*coap.Response, bootstrap.Report,
) {
	t.Helper()
	store := &boottest.Store{}
	var report bootstrap.Report
	var res *coap.Response
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, store, d, always(c))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		res = s.ServeCoAP(ctx, &coap.Request{
			Peer: peer{coap.Identity{Role: coap.RolePSK, Name: "urn:a"}}, Method: coap.POST, Path: []string{"bs"}, Query: query,
		})
		if res.Sent != nil {
			res.Sent()
		}
		synctest.Wait()
		time.Sleep(5 * time.Minute) // of the bubble: beyond every budget
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		report, _ = store.Last(t.Context(), "D-urn:a")
	})
	return res, report
}

func newServer(t *testing.T, store bootstrap.Store, x bootstrap.Exchanger,
	configure func(context.Context, fleet.ID) (bootstrap.Configuration, error),
) *bootstrap.Server {
	t.Helper()
	s, err := bootstrap.New(bootstrap.Options{
		Store: store, Exchanger: x, Schema: testSchema, Configure: configure,
		Identify: func(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
			switch {
			case who.Role == coap.RoleNone:
				return "", bootstrap.ErrUnauthorized
			case who.Name != string(ep):
				return "", bootstrap.ErrIdentity
			}
			return fleet.ID("D-" + string(ep)), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSession leads devices of several kinds through §6.1.6.
func TestSession(t *testing.T) {
	one := oneServer()
	for _, c := range []struct {
		name     string
		device   func(*device)
		version  string
		want     bootstrap.Configuration
		query    string
		requests string
		state    bootstrap.State
		reason   string
	}{
		{
			name: "new device", version: "1.1", want: one,
			requests: "GET /, PUT /0/1, PUT /1/0, POST /bs", state: bootstrap.Done,
		},
		{
			name: "client of 1.0 without Discover keeps instance 0", version: "", want: one,
			requests: "GET /, DELETE /1, PUT /0/1, PUT /1/0, POST /bs", state: bootstrap.Done,
		},
		{
			name: "another server's account is removed, ours overwritten in place", version: "1.1", want: one,
			device: func(d *device) {
				d.instances = map[string]string{
					"/0/0": "ssid=101", "/0/1": "", "/0/2": "ssid=7", "/1/3": "ssid=101", "/1/4": "ssid=7", "/2/0": "", "/3/0": "",
				}
			},
			requests: "GET /, GET /1, GET /2, DELETE /0/2, DELETE /1/4, PUT /0/0, PUT /1/3, POST /bs", state: bootstrap.Done,
		},
		{
			name: "what is as wanted is not written", version: "1.1", want: one,
			device: func(d *device) {
				d.instances["/1/0"] = "ssid=101"
				d.readable["/1"] = []byte(`[{"bn":"/1/0/","n":"0","v":101},{"n":"1","v":300},{"n":"7","vs":"U"}]`)
			},
			requests: "GET /, GET /1, PUT /0/1, POST /bs", state: bootstrap.Done,
		},
		{
			name: "purged object", version: "1.1",
			want: bootstrap.Configuration{
				Accounts: one.Accounts, Purge: []uint16{2},
				Objects: []bootstrap.Instance{{
					Path:    lwm2m.NewPath(2, 1),
					Entries: []lwm2m.Entry{{Path: lwm2m.NewPath(2, 1, 3), Value: lwm2m.Integer(101)}},
				}},
			},
			device:   func(d *device) { d.instances["/2/0"] = "" },
			requests: "GET /, GET /2, DELETE /2/0, PUT /0/1, PUT /1/0, PUT /2/1, POST /bs", state: bootstrap.Done,
		},
		{
			name: "inconsistent once: everything is written anew", version: "1.1", want: one,
			device: func(d *device) {
				d.finishes = []coap.Code{coap.NotAcceptable}
				d.instances["/1/0"] = "ssid=101"
				d.readable["/1"] = []byte(`[{"bn":"/1/0/","n":"0","v":101},{"n":"1","v":300},{"n":"7","vs":"U"}]`)
			},
			requests: "GET /, GET /1, PUT /0/1, POST /bs, DELETE /1/0, PUT /0/1, PUT /1/0, POST /bs", state: bootstrap.Done,
		},
		{
			name: "inconsistent twice", version: "1.1", want: one,
			device:   func(d *device) { d.finishes = []coap.Code{coap.NotAcceptable, coap.NotAcceptable} },
			requests: "GET /, PUT /0/1, PUT /1/0, POST /bs, PUT /0/1, PUT /1/0, POST /bs",
			state:    bootstrap.Failed, reason: "inconsistent",
		},
		{
			name: "format refused", version: "1.1", want: one, query: "pct=11544",
			device:   func(d *device) { d.refuse["PUT /0/111544"] = coap.UnsupportedContentFormat },
			requests: "GET /, PUT /0/1, PUT /0/1, PUT /1/0, POST /bs", state: bootstrap.Done,
		},
		{
			name: "write refused", version: "1.1", want: one,
			device:   func(d *device) { d.refuse["PUT /1/0"] = coap.BadRequest },
			requests: "GET /, PUT /0/1, PUT /1/0", state: bootstrap.Failed,
			reason: `the device answered 4.00 to Write /1/0: "no thanks"`,
		},
		{
			name: "Finish refused", version: "1.1", want: one,
			device:   func(d *device) { d.finishes = []coap.Code{coap.BadRequest} },
			requests: "GET /, PUT /0/1, PUT /1/0, POST /bs", state: bootstrap.Failed, reason: "4.00 to Finish",
		},
		{
			name: "silent device", version: "1.1", want: one, device: func(d *device) { d.lost = "PUT /0/1" },
			requests: "GET /, PUT /0/1", state: bootstrap.Failed, reason: "no answer to Write /0/1",
		},
		{
			name: "budget spent", version: "1.1", want: one, device: func(d *device) { d.hang = "PUT /0/1" },
			requests: "GET /, PUT /0/1", state: bootstrap.Failed, reason: "no answer to Write /0/1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(c.version)
			if c.device != nil {
				c.device(d)
			}
			query := []string{"ep=urn:a"}
			if c.query != "" {
				query = append(query, c.query)
			}
			res, report := bootstrapped(t, d, c.want, query...)
			if res.Code != coap.Changed {
				t.Fatalf("answer %v", res.Code)
			}
			if got := d.requests(); got != c.requests {
				t.Errorf("requests\n%s\nwant\n%s", got, c.requests)
			}
			if report.State != c.state || !strings.Contains(report.Reason, c.reason) || report.EndedAt.IsZero() {
				t.Errorf("report %v, %q, want %v, %q", report.State, report.Reason, c.state, c.reason)
			}
			if _, own := d.instances["/0/0"]; !own {
				t.Error("the device lost its bootstrap account")
			}
		})
	}
}

// TestTraceHoldsNoValues looks for what was written in the report.
func TestTraceHoldsNoValues(t *testing.T) {
	_, report := bootstrapped(t, newDevice("1.1"), oneServer(), "ep=urn:a")
	for _, s := range report.Steps {
		if strings.Contains(s.What+s.Note+s.Answer, "192.0.2.9") {
			t.Errorf("step %+v holds a value", s)
		}
	}
	if len(report.Steps) != 5 {
		t.Errorf("steps %+v", report.Steps)
	}
}

// TestBeginsAnew has a device that asks again while its session hangs.
func TestBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice("1.1")
		d.hang = "PUT /0/1"
		store := &boottest.Store{}
		s := newServer(t, store, d, always(oneServer()))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		ask := func() {
			res := s.ServeCoAP(ctx, &coap.Request{
				Peer: peer{coap.Identity{Role: coap.RolePSK, Name: "urn:a"}}, Method: coap.POST, Path: []string{"bs"},
			})
			if res.Code != coap.Changed {
				t.Fatalf("answer %v", res.Code)
			}
			res.Sent()
			synctest.Wait()
		}
		ask()
		d.mu.Lock()
		d.hang = ""
		d.mu.Unlock()
		ask()
		report, _ := store.Last(ctx, "D-urn:a")
		if report.State != bootstrap.Done {
			t.Errorf("report %+v", report)
		}
		stop()
		<-ended
	})
}

// TestRefusals is one row a code of §6.1.7.1.
func TestRefusals(t *testing.T) {
	unknown := func(context.Context, fleet.ID) (bootstrap.Configuration, error) {
		return bootstrap.Configuration{}, bootstrap.ErrNoConfiguration
	}
	broken := func(context.Context, fleet.ID) (bootstrap.Configuration, error) {
		return bootstrap.Configuration{}, errors.New("disk full")
	}
	good := always(oneServer())
	psk := coap.Identity{Role: coap.RolePSK, Name: "urn:a"}
	none, bs, bspack := coap.Format{}, []string{"bs"}, []string{"bspack"}
	for _, c := range []struct {
		name      string
		who       coap.Identity
		method    coap.Code
		path      []string
		query     []string
		accept    coap.Format
		configure func(context.Context, fleet.ID) (bootstrap.Configuration, error)
		want      coap.Code
	}{
		{"no name", coap.Identity{}, coap.POST, bs, nil, none, good, coap.BadRequest},
		{"bad pct", psk, coap.POST, bs, []string{"pct=x"}, none, good, coap.BadRequest},
		{"pct of another use", psk, coap.POST, bs, []string{"pct=0"}, none, good, coap.UnsupportedContentFormat},
		{"another's name", psk, coap.POST, bs, []string{"ep=urn:b"}, none, good, coap.BadRequest},
		{"nobody", coap.Identity{}, coap.POST, bs, []string{"ep=urn:b"}, none, good, coap.Unauthorized},
		{"no profile", psk, coap.POST, bs, nil, none, unknown, coap.BadRequest},
		{"our fault", psk, coap.POST, bs, nil, none, broken, coap.InternalServerError},
		{"method", psk, coap.GET, bs, nil, none, good, coap.MethodNotAllowed},
		{"path", psk, coap.POST, []string{"bs", "1"}, nil, none, good, coap.NotFound},
		{"other path", psk, coap.POST, []string{"rd"}, nil, none, good, coap.NotFound},
		{"pack in TLV", psk, coap.GET, bspack, nil, coap.FormatID(11542), good, coap.NotAcceptable},
		{"pack without profile", psk, coap.GET, bspack, nil, none, unknown, coap.BadRequest},
		{"pack with bad accounts", psk, coap.GET, bspack, []string{"acc=<"}, none, good, coap.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, &boottest.Store{}, newDevice("1.1"), c.configure)
			res := s.ServeCoAP(t.Context(), &coap.Request{
				Peer: peer{c.who}, Method: c.method, Path: c.path, Query: c.query, Accept: c.accept,
			})
			if res.Code != c.want {
				t.Errorf("%v, want %v", res.Code, c.want)
			}
		})
	}
}

// TestPack is 1.2-int-12 of the enabler test specification.
func TestPack(t *testing.T) {
	s := newServer(t, &boottest.Store{}, newDevice("1.2"), always(oneServer()))
	for query, want := range map[string]string{"": "/0/1/", "acc=</0/1>": "/0/0/"} {
		r := &coap.Request{
			Peer: peer{coap.Identity{Role: coap.RolePSK, Name: "urn:a"}}, Method: coap.GET, Path: []string{"bspack"},
			Query: []string{"ep=urn:a"}, Accept: coap.FormatID(110),
		}
		if query != "" {
			r.Query = append(r.Query, query)
		}
		res := s.ServeCoAP(t.Context(), r)
		body := string(res.Payload)
		if res.Code != coap.Content || !strings.Contains(body, want) || !strings.Contains(body, `300`) {
			t.Errorf("%q: %v %s", query, res.Code, res.Payload)
		}
		res.Sent()
	}
}
