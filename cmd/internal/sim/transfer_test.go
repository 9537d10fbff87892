package sim_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/transfer"
)

func TestTransfer(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	o := options(m.dir)
	o.KeepOldKeys = true
	r := start(t, m.b, o)
	r.await(sim.Registered)
	m.plant()
	m.prepare()
	if err := m.alpha.write(firmwareURI, lwm2m.String("coaps://x")); err == nil {
		t.Error("firmware can be written in READY")
	}
	m.commit()
	r.await(sim.Committed)
	r.await(sim.Wiped)
	r.await(sim.Enrolling)
	if e := r.await(sim.Retrying); e.State != string(transfer.Enrolling) { // the right is closed
		t.Errorf("retrying in %s: %s", e.State, e.Error)
	}
	m.open()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)

	if got := m.beta.read(endpoint, lwm2m.NewPath(3, 0, 15)).Text(); got != "UTC" {
		t.Errorf("beta reads %q of alpha's data", got)
	}
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil {
		t.Fatal(err)
	}
	if state.State != transfer.Finalised || state.Epoch != 1 || state.Home.ServerURI != m.beta.uri() {
		t.Errorf("Inspect = %s, epoch %d, %s", state.State, state.Epoch, state.Home.ServerURI)
	}
	if state.OldKey == nil || !refused(t, m.alpha, state.OldKey) {
		t.Error("alpha admits the old key")
	}
	key, chain, err := m.b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if !refused(t, m.alpha, &tls.Certificate{Certificate: chain, PrivateKey: key}) {
		t.Error("alpha admits the factory key")
	}
	m.checkWiped(state.OldKey)
	for _, c := range state.Counts {
		t.Logf("%-16s %-22s %5d sent %5d received", c.Host, c.Phase, c.SentBytes, c.ReceivedBytes)
	}

	// Beta's signer counts now, and alpha's does not.
	for _, row := range []struct {
		signer transfer.Signer
		kind   sim.Kind
	}{{m.alpha.suit, sim.UpdateFailed}, {m.beta.suit, sim.Downloaded}} {
		if err := m.beta.write(firmwareURI, lwm2m.String("")); err != nil {
			t.Fatal(err)
		}
		if err := m.beta.write(firmwarePackage, lwm2m.Opaque(manifest(t, row.signer, "3", 3, ""))); err != nil {
			t.Fatal(err)
		}
		r.await(row.kind)
	}
	if err := m.beta.srv.Execute(t.Context(), endpoint, firmwareUpdate, ""); err != nil {
		t.Fatal(err)
	}
	if e := r.await(sim.Updated); e.Sequence != 3 {
		t.Errorf("updated to %d", e.Sequence)
	}
}

func TestTransferIsRefused(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(t.TempDir()))
	r.await(sim.Registered)
	err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build())) // nothing is staged
	if e, ok := errors.AsType[*server.ResponseError](err); !ok || e.Code != coap.BadRequest {
		t.Errorf("write = %v, want 4.00", err)
	}
	r.await(sim.Refused)
	if got, _ := m.alpha.read(endpoint, transferBase.Child(objects.TransferError)).Int(); got != 7 {
		t.Errorf("error = E%d, want E7", got)
	}
	m.prepare()
	abort := transferBase.Child(objects.TransferAbort)
	if err := m.alpha.srv.Execute(t.Context(), endpoint, abort, m.order()); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Expired)
	m.awaitState(m.alpha, transfer.Expired)
}

func TestFallback(t *testing.T) {
	t.Parallel()
	m := newMove(t, 1)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.beta.stop()
	m.commit()
	r.await(sim.FallingBack)
	m.fallback()
	r.await(sim.FellBack)
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil || state.State != transfer.FellBack || state.Home.ServerURI != m.alpha.uri() {
		t.Errorf("Inspect = %+v, %v", state, err)
	}
	// The way is open for the next attempt, and alpha's signers count again.
	m.beta.start()
	if err := m.alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, m.alpha.suit, "2", 2, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Downloaded)
}

func TestRefusalAtTheNewProviderFallsBack(t *testing.T) {
	t.Parallel()
	m := newMove(t, 3600)
	r := start(t, m.b, options(t.TempDir()))
	r.await(sim.Registered)
	m.prepare()
	if _, err := m.beta.ca.CloseRight(t.Context(), m.f.hash(m.b)); err != nil {
		t.Fatal(err)
	}
	other := est.Hash(transfer.HashOf([]byte("another key")))
	if _, err := m.beta.ca.NoteSPKI(t.Context(), m.f.hash(m.b), other); err != nil {
		t.Fatal(err)
	}
	if _, err := m.beta.ca.OpenRight(t.Context(), m.f.hash(m.b), other); err != nil {
		t.Fatal(err)
	}
	m.commit()
	r.await(sim.FallingBack)
	m.fallback()
}

// TestT16PrimeReturned is T16′: what the new provider gave a device before it sent it
// back is neither in the device's memory nor in anything that it tells the former
// provider.
func TestT16PrimeReturned(t *testing.T) {
	t.Parallel()
	m := newMove(t, 3600)
	const secret = "Canary/Beta"
	m.updatesFirst(manifestOf(t, m.beta.suit, "2.0.0", 2, []byte(secret)), "2")
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.commit()
	r.await(sim.Done)
	m.awaitState(m.beta, transfer.Done)
	there, err := sim.Inspect(m.dir, m.b)
	if err != nil {
		t.Fatal(err)
	}
	if !holds(memory(t, m.dir, endpoint), []byte(secret)) {
		t.Fatal("the new provider's image never was in the memory")
	}
	back := transferBase.Child(objects.TransferReturn)
	if err := m.beta.srv.Execute(t.Context(), endpoint, back, m.order()); err != nil {
		t.Fatal(err)
	}
	r.await(sim.FallingBack)
	m.fallback()
	r.await(sim.FellBack)
	m.checkWiped(&tls.Certificate{PrivateKey: there.Key}) // beta's
	raw := memory(t, m.dir, endpoint)
	for what, secret := range map[string][]byte{
		"data": []byte(secret), "certificate for the device": there.Operational, "server's URI": []byte(m.beta.uri()),
		"signer of manifests": m.beta.suit.Certificate, "signer of messages": m.beta.signer.Certificate,
		"CA": m.beta.ca.Certificate().Raw,
	} {
		if holds(raw, secret) {
			t.Errorf("the memory holds the new provider's %s", what)
		}
	}
	ids := objects.DefaultIDs
	for _, object := range []uint16{
		objects.ServerID, objects.DeviceID, objects.FirmwareID, ids.Truststore, ids.Enrolment, ids.Transfer,
	} {
		for _, e := range m.alpha.readAll(endpoint, lwm2m.NewPath(object)) {
			told := e.Value.String()
			if strings.Contains(told, secret) || strings.Contains(told, m.beta.uri()) || strings.Contains(told, m.beta.addr) {
				t.Errorf("%v tells %s", e.Path, told)
			}
		}
	}
}
