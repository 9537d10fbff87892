package trial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
)

// An Account is one server as objects Security and Server describe it.
type Account struct {
	objects.Security
	Instance uint16 // of LwM2M Server; lwm2m.NoID with a bootstrap server

	certificate *tls.Certificate // got by EST
}

var errInconsistent = errors.New("accounts are not consistent")

// provision makes objects Security and Server of the options.
func (d *Device) provision() {
	var security, server []lwm2m.Entry
	if d.o.Bootstrap != "" {
		a := d.o.account(d.o.Bootstrap, true, 0)
		security = a.Entries(lwm2m.NewPath(objects.SecurityID, 0))
	}
	mute := false
	for i, uri := range d.o.Servers {
		short := uint16(i + 1)
		a := d.o.account(uri, false, short)
		security = append(security, a.Entries(lwm2m.NewPath(objects.SecurityID, short))...)
		s := objects.Server{
			ShortID: short, Lifetime: int64(d.o.Lifetime / time.Second), Storing: true, Binding: d.o.binding(), MuteSend: &mute,
		}
		if d.o.Queue && d.o.Version == lwm2m.Version10 {
			s.Binding = "UQ"
		}
		server = append(server, s.Entries(lwm2m.NewPath(objects.ServerID, short-1))...)
	}
	d.security = client.NewTable(client.TableOptions{
		ID: objects.SecurityID, Version: d.version(objects.SecurityID), Schema: d.schema, Values: security,
	})
	d.server = client.NewTable(client.TableOptions{
		ID: objects.ServerID, Version: d.version(objects.ServerID), Schema: d.schema, Values: server,
		Resources: []uint16{
			objects.ServerMinPeriod, objects.ServerMaxPeriod, objects.ServerDisable, objects.ServerDisableTimeout,
			objects.ServerUpdateTrigger, objects.ServerBootstrapTrigger, objects.ServerMuteSend,
		},
		OnWrite: d.writeServer, OnExecute: d.executeServer,
	})
}

func (d *Device) writeServer(_ context.Context, s client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
	for _, e := range entries {
		if e.Path.ID(2) == objects.ServerShortID && !s.Bootstrap {
			return client.ErrMethodNotAllowed
		}
	}
	return nil
}

// executeServer is Disable, Update and Bootstrap-Request of object Server. What
// ends an association waits until the answer has left.
func (d *Device) executeServer(_ context.Context, s client.Session, p lwm2m.Path, _ string) error {
	l := d.now()
	switch p.ID(2) {
	case objects.ServerUpdateTrigger: // the client does it
	case objects.ServerDisable:
		l.later(func() { l.end(s.Peer, verdict{disabled: true}) })
	case objects.ServerBootstrapTrigger:
		if _, ok := d.bootstrapAccount(); !ok {
			return client.ErrMethodNotAllowed
		}
		l.later(func() { d.give(orderBootstrap) })
	default:
		return client.ErrMethodNotAllowed
	}
	return nil
}

// all returns what object Security holds, in the order of its instances. What
// cannot be used is left out.
func (d *Device) all() (out []Account) {
	for _, i := range d.security.Instances() {
		at := lwm2m.NewPath(objects.SecurityID, i)
		if s, err := objects.DecodeSecurity(at, d.security.Entries(at)); err == nil {
			out = append(out, Account{Security: s, Instance: lwm2m.NoID})
		}
	}
	return out
}

// bootstrapAccount returns the account of the bootstrap server.
func (d *Device) bootstrapAccount() (Account, bool) {
	for _, a := range d.all() {
		if a.Bootstrap {
			return a, true
		}
	}
	return Account{}, false
}

// accounts returns the servers to register with.
func (d *Device) accounts() (out []Account) {
	instances := map[uint64]uint16{}
	for _, i := range d.server.Instances() {
		if short, ok := d.server.Value(lwm2m.NewPath(objects.ServerID, i, objects.ServerShortID)).Uint(); ok {
			instances[short] = i
		}
	}
	for _, a := range d.all() {
		if i, ok := instances[uint64(a.ShortServer)]; ok && !a.Bootstrap {
			a.Instance = i
			out = append(out, a)
		}
	}
	return out
}

// consistent judges the accounts at Bootstrap-Finish: each server must be known
// to both objects (§6.1.7.6).
func (d *Device) consistent(context.Context) error {
	servers := 0
	for _, i := range d.security.Instances() {
		if is, _ := d.security.Value(lwm2m.NewPath(objects.SecurityID, i, 1)).Bool(); !is {
			servers++
		}
	}
	known := len(d.accounts())
	if known == 0 || known != servers || known != len(d.server.Instances()) {
		return fmt.Errorf("%w: %d in /0, %d in /1, %d in both",
			errInconsistent, servers, len(d.server.Instances()), known)
	}
	return nil
}

// defaultDisable is how long a server is disabled that has not said (§E.2).
const defaultDisable = 86400

// disable returns how long the server is to be left alone.
func (a Account) disable(d *Device) time.Duration {
	n, ok := d.server.Value(lwm2m.NewPath(objects.ServerID, a.Instance, objects.ServerDisableTimeout)).Int()
	if !ok || n < 0 || n > maxDisable {
		n = defaultDisable
	}
	return time.Duration(n) * time.Second
}

// maxDisable is the longest such time, in seconds.
const maxDisable = 1 << 32

// later has f done when the answer under way has left.
func (l *life) later(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = append(l.after, f)
}

// afterwards returns what later was told of; nil: nothing.
func (l *life) afterwards() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.after
	l.after = nil
	if all == nil {
		return nil
	}
	return func() {
		for _, f := range all {
			f()
		}
	}
}

// access makes object Access Control: the first server owns all there is, others
// may read, and every server may create instances.
func (d *Device) access() client.Object {
	var values []lwm2m.Entry
	n := uint16(0)
	add := func(a objects.AccessControl) {
		values = append(values, a.Entries(lwm2m.NewPath(objects.AccessControlID, n))...)
		n++
	}
	for _, o := range d.objects {
		if o.ID() == objects.SecurityID || o.ID() == objects.ServerID {
			continue
		}
		for _, i := range o.Instances() {
			add(objects.AccessControl{
				Object: o.ID(), Instance: i, List: map[uint16]objects.Rights{0: objects.RightRead}, Owner: 1,
			})
		}
		add(objects.AccessControl{
			Object: o.ID(), Instance: lwm2m.NoID, List: map[uint16]objects.Rights{0: objects.RightCreate}, Owner: lwm2m.NoID,
		})
	}
	return client.NewTable(client.TableOptions{
		ID: objects.AccessControlID, Version: d.version(objects.AccessControlID), Schema: d.schema, Values: values,
	})
}
