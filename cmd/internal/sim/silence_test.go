package sim_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/nvm"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects"
	"steward/transfer"
)

// intruder is what the former provider would write, and must not find anywhere.
const intruder = "Canary/Intruder"

// reaches are the ways in which a former provider reaches for a device: to read, write,
// observe, execute, and to bootstrap it.
func reaches(t *testing.T, order string) []probe {
	t.Helper()
	zone := lwm2m.Entry{Path: lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceTimezone), Value: lwm2m.String(intruder)}
	account := lwm2m.Entry{Path: lwm2m.NewPath(0, 0, 0), Value: lwm2m.String("coaps://" + intruder)}
	return append(changes(t, order),
		probe{name: "Read", method: coap.GET, path: "/3/0/0"},
		probe{name: "Read of the receipt", method: coap.GET, path: "/42771/0/9"},
		probe{name: "Discover", method: coap.GET, path: "/3", accept: codec.Link},
		probe{name: "Write", method: coap.PUT, path: "/3/0/15", body: []byte(intruder)},
		probe{name: "Write-Composite", method: coap.IPATCH, path: "/", format: codec.SenMLCBOR, body: packed(t, zone)},
		probe{name: "Execute of a restart", method: coap.POST, path: "/3/0/4"},
		probe{name: "Execute of a reset", method: coap.POST, path: "/3/0/5"},
		probe{name: "Execute of an update", method: coap.POST, path: "/1/0/8"},
		probe{name: "Commit again", method: coap.POST, path: "/42771/0/1", body: []byte(order)},
		probe{name: "Abort", method: coap.POST, path: "/42771/0/2", body: []byte(order)},
		probe{name: "Finalise", method: coap.POST, path: "/42771/0/11", body: []byte(order)},
		probe{name: "Return", method: coap.POST, path: "/42771/0/12", body: []byte(order)},
		probe{name: "Bootstrap-Delete", method: coap.DELETE, path: "/"},
		probe{
			name: "Bootstrap-Write", method: coap.PUT, path: "/0/0", format: codec.SenMLCBOR, body: packed(t, account),
		},
		probe{name: "Bootstrap-Read", method: coap.GET, path: "/1"},
		probe{name: "bootstrap request", method: coap.POST, path: "/1/0/9"},
	)
}

// silent holds that whatever the former provider asks over the association that it has
// kept, and to observe, nobody answers. It returns what was sent.
func silent(t *testing.T, p *provider, wire *mirror, old coap.Peer, when string, probes []probe) [][]byte {
	t.Helper()
	wire.forget()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asking sync.WaitGroup
	ask := func(name string, do func() error) {
		asking.Go(func() {
			if do() == nil {
				t.Errorf("%s: %s was answered", when, name)
			}
		})
	}
	for _, q := range probes {
		path, err := lwm2m.ParsePath(q.path)
		if err != nil {
			t.Fatal(err)
		}
		r := &coap.Request{Method: q.method, Path: path.Segments(), Query: q.query, Payload: q.body}
		if q.format != 0 || len(q.body) > 0 {
			r.ContentFormat = coap.FormatID(q.format)
		}
		ask(q.name, func() error { _, err := p.engine.Do(ctx, old, r); return err })
	}
	ask("Observe", func() error {
		_, _, err := p.engine.Observe(ctx, old, &coap.Request{
			Method: coap.GET, Path: battery.Segments(),
		}, func(*coap.Response) { t.Errorf("%s: notified", when) })
		return err
	})
	for deadline := time.Now().Add(patience); len(wire.sent()) <= len(probes); p.pause() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d datagrams were sent for %d requests", when, len(wire.sent()), len(probes)+1)
		}
	}
	for range 15 { // for an answer, which would be here at once
		p.pause()
	}
	cancel()
	asking.Wait()
	return wire.sent()
}

// aged lets a device that is switched off have been powered for a while, as its
// memory tells.
func (m *move) aged(by time.Duration) {
	m.t.Helper()
	file, err := nvm.Open(nvm.Options{Path: filepath.Join(m.dir, endpoint+".state"), NoSync: true})
	if err != nil {
		m.t.Fatal(err)
	}
	key, chain, err := m.b.FactoryIdentity()
	if err != nil {
		m.t.Fatal(err)
	}
	tr, err := transfer.OpenDevice(transfer.DeviceOptions{
		Journal: inMemory{file}, FactoryKey: key, FactoryCertificate: chain[0],
		NewKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	})
	if err == nil {
		err = tr.Tick(by, time.Now())
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// inMemory is the transfer's journal in the memory of a simulated device.
type inMemory struct{ file *nvm.File }

func (j inMemory) Load() ([]byte, error)    { return j.file.Get("transfer"), nil }
func (j inMemory) Save(record []byte) error { return j.file.Put("transfer", record) }

// TestT12NothingAnswers is T12 on the wire. The former provider keeps the association by
// which it told the device to commit: it hears neither De-register nor the end of the
// association, has all keys and identifiers of it, and asks in every way that there is,
// also by an observation that it had, by what it sent before, and as the new provider's
// address: right after the commit, after 24 hours of loss, and when the device has
// arrived. Nothing answers, nothing changes, and the device says nothing to it.
func TestT12NothingAnswers(t *testing.T) {
	t.Parallel()
	for name, noCID := range map[string]bool{"by connection identifier": false, "by address": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lost = 24 * time.Hour
			m := &move{
				t: t, alpha: newProvider(t, "alpha"), beta: newProvider(t, "beta"), f: newFactory(t),
				grace: uint64(2 * lost / time.Second), dir: t.TempDir(),
			}
			m.alpha.stop()
			m.alpha.atOnce = 64 // whoever waits for answers asks little (RFC 7252 §4.7)
			m.alpha.start()
			before, after := mirrored(t, m.alpha), mirrored(t, m.beta)
			m.b = m.f.device(endpoint, m.alpha)
			o := options(m.dir)
			o.NoCID = noCID
			r := start(t, m.b, o)
			r.await(sim.Registered)
			m.prepare()
			home := m.alpha.peersOf(coap.RoleOperational)
			if len(home) != 1 {
				t.Fatalf("%d associations with alpha", len(home))
			}
			notified := make(chan struct{}, 1000)
			_, observation, err := m.alpha.engine.Observe(t.Context(), home[0], &coap.Request{
				Method: coap.GET, Path: battery.Segments(),
			}, func(*coap.Response) { notified <- struct{}{} })
			if err != nil || observation == nil {
				t.Fatalf("observe = %v, %v", observation, err)
			}
			<-notified
			m.silence(before)
			r.await(sim.Enrolling)
			r.await(sim.Retrying) // no right is open: as good as a network that loses all
			said := before.unheard()
			for len(notified) > 0 {
				<-notified
			}
			probes := reaches(t, m.order())
			check := func(when string) {
				t.Helper()
				sent := silent(t, m.alpha, before, home[0], when, probes)
				before.replay()
				after.inject(sent)
				if n := before.unheard(); n != said {
					t.Errorf("%s: the device says %d datagrams to its former provider", when, n-said)
				}
				if len(notified) > 0 {
					t.Errorf("%s: notified by the observation from before", when)
				}
				if holds(memory(t, m.dir, endpoint), []byte(intruder)) {
					t.Errorf("%s: the former provider's data stand in the memory", when)
				}
			}
			check("after the commit")
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			m.aged(lost)
			r = start(t, m.b, o)
			if e := r.await(sim.Retrying); e.State != string(transfer.Enrolling) {
				t.Fatalf("after %v the device is in %s", lost, e.State)
			}
			check("after 24 h of loss")
			m.open()
			r.await(sim.Done)
			check("in DONE")
			m.finish()
			r.await(sim.Finalised)
			check("at the new provider")
			if got := m.beta.read(endpoint, lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceTimezone)).Text(); got != "UTC" {
				t.Errorf("the new provider reads %q", got)
			}
		})
	}
}

// silence has alpha tell the device to commit, hear nothing from then on, and remember
// its associations.
func (m *move) silence(wire *mirror) {
	m.t.Helper()
	m.alpha.read(endpoint, battery) // it is there
	wire.mute()
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	path, order, heard := transferBase.Child(objects.TransferCommit), m.order(), make(chan error, 1)
	go func() { heard <- m.alpha.srv.Execute(ctx, endpoint, path, order) }()
	for deadline := time.Now().Add(patience); ; m.alpha.pause() {
		if s, err := sim.Inspect(m.dir, m.b); err == nil && s.State != transfer.Ready {
			break
		}
		if time.Now().After(deadline) {
			m.t.Fatal("the device does not commit")
		}
	}
	cancel()
	if err := <-heard; err == nil {
		m.t.Fatal("alpha has heard the answer to its commit")
	}
}
