package e2e_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/objects"
	"steward/objects/registry"
)

// A pskDevice is a device without certificates: its own client, with objects 0 to
// 3 and a bootstrap account by a pre-shared key.
type pskDevice struct {
	name     string
	security *client.Table
	client   *client.Client
	engine   *coap.Engine
}

func newPSKDevice(t *testing.T, name, bootstrapURI string) *pskDevice {
	t.Helper()
	d := &pskDevice{name: name}
	table := func(id uint16, values []lwm2m.Entry, resources ...uint16) *client.Table {
		return client.NewTable(client.TableOptions{ID: id, Schema: registry.Default(), Values: values, Resources: resources})
	}
	account := objects.Security{URI: bootstrapURI, Bootstrap: true, Mode: objects.ModePSK}
	d.security = table(objects.SecurityID, account.Entries(lwm2m.NewPath(objects.SecurityID, 0)))
	d.engine = coap.New(coap.Options{Handler: coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		return d.client.ServeCoAP(ctx, r)
	})})
	var err error
	d.client, err = client.New(client.Options{
		Endpoint: lwm2m.Endpoint(name), Version: lwm2m.Version11, Engine: d.engine, Schema: registry.Default(),
		Objects: []client.Object{
			d.security, table(objects.ServerID, nil),
			table(objects.DeviceID, []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 0), Value: lwm2m.String("Keyed Ltd")}}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, run := range []func(context.Context) error{d.engine.Run, d.client.Run} {
		group.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() { stop(); group.Wait() })
	return d
}

func (d *pskDevice) dial(t *testing.T, uri, identity string, key []byte) (*transport.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return transport.Dial(ctx, transport.DialOptions{
		URI: uri, Engine: d.engine, Client: dtls.ClientOptions{PSKIdentity: []byte(identity), PSK: key, CID: true},
	})
}

// TestBootstrapByKey takes a device from an operator's first key to a registration
// by a key that nobody has seen, and out again.
func TestBootstrapByKey(t *testing.T) {
	slow(t)
	t.Parallel()
	p := serve(t, "alpha", scaled...)
	const name = "urn:dev:ops:keyed-1"
	key := bytes.Repeat([]byte{7}, 16)
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": false, "tags": []string{"keyed"}})
	put := func(path string, in any) {
		t.Helper()
		if err := p.do(t.Context(), http.MethodPut, path, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	put("/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"identity": "factory-1", "key": key})
	d := newPSKDevice(t, name, p.uri())

	asked, err := d.dial(t, p.uri(), "factory-1", key)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.client.Bootstrap(t.Context(), asked, 0); err == nil {
		t.Fatal("bootstrapped without a profile")
	}
	if err := d.client.Register(t.Context(), asked); err == nil {
		t.Error("registered by a key for bootstrap")
	}
	put("/api/v1/bootstrap-profiles/keyed", map[string]any{"tag": "keyed", "mode": "psk", "short_id": 7, "lifetime": 300})
	if err := d.client.Bootstrap(t.Context(), asked, 0); err != nil {
		t.Fatal(err)
	}
	_ = asked.Close()

	at := lwm2m.NewPath(objects.SecurityID, 1)
	entries, err := d.security.Read(t.Context(), client.Session{Bootstrap: true}, at)
	if err != nil {
		t.Fatal(err)
	}
	account, err := objects.DecodeSecurity(at, entries)
	if err != nil || account.ShortServer != 7 || len(account.SecretKey) != 16 || bytes.Equal(account.SecretKey, key) {
		t.Fatalf("account %v, %v", account.ShortServer, err)
	}
	peer, err := d.dial(t, account.URI, string(account.Identity), account.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.client.Register(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Values []struct{ Value any } `json:"values"`
	}
	if err := p.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+name+"/operations",
		map[string]string{"op": "read", "path": "/3/0/0"}, &read); err != nil || len(read.Values) != 1 ||
		read.Values[0].Value != "Keyed Ltd" {
		t.Errorf("read %+v, %v", read, err)
	}
	var keys struct {
		Keys      []struct{ Use, Identity string }
		Bootstrap struct{ State string }
	}
	p.get(t, "/api/v1/devices/ep:"+name+"/keys", &keys)
	if len(keys.Keys) != 2 || keys.Bootstrap.State != "done" {
		t.Errorf("%+v", keys)
	}

	// Without its key the device is out at once, and stays out.
	if err := p.do(t.Context(), http.MethodDelete, "/api/v1/devices/ep:"+name+"/keys/server", nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-peer.Done():
	case <-time.After(readyLimit):
		t.Error("the session by the removed key lives on")
	}
	if _, err := d.dial(t, account.URI, string(account.Identity), account.SecretKey); err == nil {
		t.Error("the removed key opened a session")
	}
}

// TestBootstrapByCertificate gives a device by its first key a certificate, whose key
// we made and forgot, and another object; it registers by it over DTLS, or over TLS if
// the profile says so, and a bootstrap later over another.
func TestBootstrapByCertificate(t *testing.T) {
	slow(t)
	t.Parallel()
	p := serve(t, "alpha", append([]string{"--coaps-tcp", ":5687"}, scaled...)...)
	key := bytes.Repeat([]byte{7}, 16)
	for name, streams := range map[string]bool{"certified": false, "streamed-cert": true} {
		p.put(t, "/api/v1/bootstrap-profiles/"+name, map[string]any{
			"tag": name, "mode": "x509", "short_id": 7, "lifetime": 300, "streams": streams,
			"objects": []map[string]any{{"path": "/16/1", "values": []map[string]any{{"path": "/16/1/0/0", "value": "given"}}}},
		})
		p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "tags": []string{name}})
		p.put(t, "/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"identity": name, "key": key})
		start(t, name, &tail{}, "device", "--endpoint", name, "--bootstrap", p.uri(), "--objects", "16",
			"--psk", name+":"+hex.EncodeToString(key))
		p.state(t, name, "online")
		p.reads(t, name, "/16/1/0/0", `"given"`)
		var detail struct {
			Registration struct{ Transport string }
			Certificates []struct{ State string }
		}
		p.get(t, "/api/v1/devices/ep:"+name, &detail)
		if detail.Registration.Transport != map[bool]string{false: "coaps", true: "coaps+tcp"}[streams] {
			t.Errorf("%s registered over %q", name, detail.Registration.Transport)
		}
		p.must(t, name, map[string]any{"op": "execute", "path": "/1/0/9"})
		eventually(t, onlineLimit, name+" uses its second certificate", func() error {
			live, all, err := p.certificatesOf(t, name)
			if err == nil && (all != 2 || live != 1) {
				err = fmt.Errorf("%d of %d certificates are live", live, all)
			}
			return err
		})
		eventually(t, onlineLimit, name+" answers", func() error {
			_, err := p.ask(t, name, map[string]any{"op": "read", "path": "/3/0/0"})
			return err
		})
	}
}

// certificatesOf counts the operational certificates that a device has, and had.
func (p *provider) certificatesOf(t *testing.T, name string) (live, all int, err error) {
	t.Helper()
	var out struct {
		Items []struct{ Subject, Kind, State string }
	}
	err = p.do(t.Context(), http.MethodGet, "/api/v1/ca/certificates?kind=operational", nil, &out)
	for _, c := range out.Items {
		if strings.Contains(c.Subject, name) && c.Kind == "operational" {
			all++
			if c.State == "live" {
				live++
			}
		}
	}
	return live, all, err
}

// TestBootstrapByPack gives a test device everything in one answer; then it fetches a
// package that a server names.
func TestBootstrapByPack(t *testing.T) {
	slow(t)
	t.Parallel()
	const name = "packed"
	p, uri := servePlain(t, scaled...)
	p.put(t, "/api/v1/bootstrap-profiles/"+name, map[string]any{
		"tag": name, "mode": "nosec", "short_id": 7, "lifetime": 300,
	})
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": true, "tags": []string{name}})
	start(t, name, &tail{}, "device", "--endpoint", name, "--bootstrap", uri, "--pack", "--objects", "5",
		"--format", "senml-json")
	p.state(t, name, "online")
	p.reads(t, name, "/1/0/1", "300")
	p.must(t, name, map[string]any{"op": "write", "path": "/5/0/1", "value": uri + "/nothing"})
	eventually(t, onlineLimit, "the URI is refused", func() error {
		o, err := p.ask(t, name, map[string]any{"op": "read", "path": "/5/0/5"})
		if err == nil && o.values["/5/0/5"] != "7" {
			err = fmt.Errorf("result %v", o.values)
		}
		return err
	})
}
