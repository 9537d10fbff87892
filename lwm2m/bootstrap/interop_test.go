package bootstrap_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A bootDevice is a client with objects 0 to 3 and a bootstrap account in
// instance 0, joined to a Bootstrap-Server.
type bootDevice struct {
	client   *client.Client
	toServer coap.Peer
	security *client.Table
	server   *client.Table
	store    *boottest.Store
	judge    error // of the first Finish
}

func table(id uint16, values ...lwm2m.Entry) *client.Table {
	return client.NewTable(client.TableOptions{ID: id, Schema: testSchema, Values: values})
}

// join makes a device and a server that gives it c, both running until the test ends.
func join(t *testing.T, version lwm2m.Version, c bootstrap.Configuration) *bootDevice {
	t.Helper()
	d := &bootDevice{store: &boottest.Store{}}
	d.security = table(0,
		lwm2m.Entry{Path: lwm2m.NewPath(0, 0, 0), Value: lwm2m.String("coap://192.0.2.1")},
		lwm2m.Entry{Path: lwm2m.NewPath(0, 0, 1), Value: lwm2m.Boolean(true)},
		lwm2m.Entry{Path: lwm2m.NewPath(0, 4, 1), Value: lwm2m.Boolean(false)},
		lwm2m.Entry{Path: lwm2m.NewPath(0, 4, 10), Value: lwm2m.Integer(77)})
	d.server = table(1, lwm2m.Entry{Path: lwm2m.NewPath(1, 2, 0), Value: lwm2m.Integer(77)})
	var server *bootstrap.Server
	engine := func(serve func() coap.Handler) *coap.Engine {
		return coap.New(coap.Options{Handler: coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
			return serve().ServeCoAP(ctx, r)
		})})
	}
	deviceEngine := engine(func() coap.Handler { return d.client })
	serverEngine := engine(func() coap.Handler { return server })
	server = newServer(t, d.store, serverEngine, always(c))
	var err error
	d.client, err = client.New(client.Options{
		Endpoint: "urn:a", Version: version, Engine: deviceEngine, Schema: testSchema,
		Objects: []client.Object{d.security, d.server, table(2), table(3)},
		Consistent: func(context.Context) error {
			err := d.judge
			d.judge = nil
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.toServer, _ = coap.Join(deviceEngine, serverEngine, coap.Medium{A: coap.Identity{Role: coap.RolePSK, Name: "urn:a"}})
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, run := range []func(context.Context) error{server.Run, deviceEngine.Run, serverEngine.Run} {
		group.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); group.Wait() })
	return d
}

// TestOwnClient bootstraps our own client in each version and format.
func TestOwnClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		version lwm2m.Version
		format  uint16
		judge   error
	}{
		{"1.0", lwm2m.Version10, 0, nil},
		{"1.0 TLV", lwm2m.Version10, codec.TLV, nil},
		{"1.1", lwm2m.Version11, 0, nil},
		{"1.1 SenML JSON", lwm2m.Version11, codec.SenMLJSON, nil},
		{"1.2 SenML CBOR", lwm2m.Version12, codec.SenMLCBOR, nil},
		{"1.2 LwM2M CBOR", lwm2m.Version12, codec.LwM2MCBOR, nil},
		{"1.1-int-9: inconsistent at first", lwm2m.Version11, 0, errors.New("no lifetime")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := join(t, c.version, bootstrap.Configuration{Accounts: []bootstrap.Account{account(101), account(102)}})
				d.judge = c.judge
				if err := d.client.Bootstrap(t.Context(), d.toServer, c.format); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				report, _ := d.store.Last(t.Context(), "D-urn:a")
				if report.State != bootstrap.Done {
					t.Errorf("%+v", report)
				}
				check(t, d.security, lwm2m.NewPath(0, 0, 1), lwm2m.Boolean(true)) // its own account
				check(t, d.security, lwm2m.NewPath(0, 1, 10), lwm2m.Integer(101))
				check(t, d.security, lwm2m.NewPath(0, 2, 10), lwm2m.Integer(102))
				check(t, d.security, lwm2m.NewPath(0, 4, 10), lwm2m.Value{}) // another server's
				check(t, d.server, lwm2m.NewPath(1, 0, 1), lwm2m.Integer(300))
				check(t, d.server, lwm2m.NewPath(1, 2, 0), lwm2m.Value{})
			})
		})
	}
}

func check(t *testing.T, in *client.Table, p lwm2m.Path, want lwm2m.Value) {
	t.Helper()
	if got := in.Value(p); got != want {
		t.Errorf("%v = %v, want %v", p, got, want)
	}
}

// TestNoProfile has the client told why it got nothing.
func TestNoProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := join(t, lwm2m.Version11, bootstrap.Configuration{})
		var code *client.CodeError
		err := d.client.Bootstrap(t.Context(), d.toServer, 0)
		if !errors.As(err, &code) || code.Code != coap.InternalServerError {
			t.Errorf("%v", err)
		}
	})
}

// TestOwnClientByPack bootstraps our own client by one answer (1.2-int-12).
func TestOwnClientByPack(t *testing.T) {
	two := bootstrap.Configuration{Accounts: []bootstrap.Account{account(101), account(102)}}
	for name, format := range map[string]uint16{
		"SenML CBOR": 0, "SenML JSON": codec.SenMLJSON, "LwM2M CBOR": codec.LwM2MCBOR,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := join(t, lwm2m.Version12, two)
				if err := d.client.BootstrapPack(t.Context(), d.toServer, format); err != nil {
					t.Fatal(err)
				}
				check(t, d.security, lwm2m.NewPath(0, 0, 1), lwm2m.Boolean(true)) // its own account
				check(t, d.security, lwm2m.NewPath(0, 1, 10), lwm2m.Integer(101))
				check(t, d.security, lwm2m.NewPath(0, 2, 10), lwm2m.Integer(102))
				check(t, d.security, lwm2m.NewPath(0, 4, 10), lwm2m.Value{}) // another server's
				check(t, d.server, lwm2m.NewPath(1, 2, 0), lwm2m.Value{})
				report, _ := d.store.Last(t.Context(), "D-urn:a")
				if !report.Pack || report.State != bootstrap.Done {
					t.Errorf("%+v", report)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		d := join(t, lwm2m.Version11, two)
		if err := d.client.BootstrapPack(t.Context(), d.toServer, 0); !errors.Is(err, client.ErrVersion) {
			t.Errorf("of 1.1: %v", err)
		}
		d = join(t, lwm2m.Version12, two)
		d.judge = errors.New("no lifetime")
		if err := d.client.BootstrapPack(t.Context(), d.toServer, 0); !errors.Is(err, client.ErrBootstrap) {
			t.Errorf("inconsistent: %v", err)
		}
		d = join(t, lwm2m.Version12, bootstrap.Configuration{})
		var refused *client.CodeError
		if err := d.client.BootstrapPack(t.Context(), d.toServer, 0); !errors.As(err, &refused) {
			t.Errorf("without a profile: %v", err)
		}
	})
}
