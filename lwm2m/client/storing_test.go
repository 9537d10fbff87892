package client_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// epmin and epmax say when values are looked at.
func TestEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		wa := x.observePath("/3303/0/5700", "epmin=10")
		x.temperature(21)
		wa.want("within epmin")
		x.temperature(22)
		time.Sleep(10 * time.Second)
		wa.want("after epmin", "/3303/0/5700=22")
		time.Sleep(20 * time.Second)
		x.temperature(23)
		wa.want("long after", "/3303/0/5700=23")
	})
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		sensor := client.NewTable(client.TableOptions{
			ID: 3303, Schema: testSchema, Values: []lwm2m.Entry{entry("/3303/0/5700", lwm2m.Float(20))},
			OnRead: func(context.Context, client.Session, lwm2m.Path) error { reads++; return nil },
		})
		c, err := client.New(client.Options{
			Endpoint: "a", Schema: testSchema, Engine: &fakeEngine{}, Objects: []client.Object{sensor},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = c.Run(ctx) }()
		c.Attach(fakePeer("a"), client.Account{Server: 1})
		observeFake(t, c, fakePeer("a"), "1", "epmax=5")
		time.Sleep(21 * time.Second)
		stop()
		<-done
		if reads != 5 { // the Observe, and each 5 s
			t.Errorf("looked %d times in 21 s, want 5", reads)
		}
	})
}

// An awayEngine answers nothing while its server is away, and keeps what it is
// notified of.
type awayEngine struct {
	mu   sync.Mutex
	away bool
	got  []string
}

func (e *awayEngine) set(away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = away
}

func (e *awayEngine) Do(context.Context, coap.Peer, *coap.Request) (*coap.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away {
		return nil, coap.ErrTimeout
	}
	return &coap.Response{Code: coap.Changed}, nil
}

func (e *awayEngine) Notify(_ context.Context, _ coap.Peer, _ []byte, r *coap.Response, _ bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away {
		if !r.Keep {
			e.got = append(e.got, "ended")
		}
		return coap.ErrTimeout
	}
	id, _ := r.ContentFormat.ID()
	entries, err := codec.Decode(id, path("/3303/0/5700"), r.Payload, testSchema)
	if err != nil {
		return err
	}
	var text []string
	for _, v := range entries {
		s := v.Value.String()
		if !v.Time.IsZero() {
			s += " timed"
		}
		text = append(text, s)
	}
	e.got = append(e.got, strings.Join(text, ","))
	return nil
}

// TestStoring: what was not acknowledged is sent when the server is back (§6.4.2).
func TestStoring(t *testing.T) {
	tests := []struct {
		name    string
		storing bool
		query   []string
		want    []string
	}{
		{"one by one", true, nil, []string{"21", "22", "23", "23"}},
		{"history", true, []string{"hqmax=2"}, []string{"22 timed,23 timed", "23"}},
		{"not stored", false, nil, []string{"ended"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &awayEngine{}
				sensor := client.NewTable(client.TableOptions{
					ID: 3303, Schema: testSchema, Values: []lwm2m.Entry{entry("/3303/0/5700", lwm2m.Float(20))},
				})
				c, err := client.New(client.Options{
					Endpoint: "a", Schema: testSchema, Engine: registering{e}, Objects: []client.Object{sensor},
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); _ = c.Run(ctx) }()
				c.Attach(fakePeer("a"), client.Account{Server: 1, Storing: tt.storing})
				if err := c.Register(ctx, fakePeer("a")); err != nil {
					t.Fatal(err)
				}
				observeFake(t, c, fakePeer("a"), "1", tt.query...)
				e.set(true)
				for v := 21.0; v < 24; v++ {
					sensor.Set(entry("/3303/0/5700", lwm2m.Float(v)))
					time.Sleep(time.Second)
				}
				e.set(false)
				time.Sleep(10 * time.Minute)
				stop()
				<-done
				if !slices.Equal(e.got, tt.want) {
					t.Errorf("notified %q, want %q", e.got, tt.want)
				}
			})
		})
	}
}

// registering is an engine whose server takes every registration.
type registering struct{ *awayEngine }

func (e registering) Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error) {
	if slices.Equal(r.Path, []string{"rd"}) {
		return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "1"}}, nil
	}
	return e.awayEngine.Do(ctx, p, r)
}
