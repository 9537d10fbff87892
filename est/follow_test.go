package est_test

import (
	"errors"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine"
)

// successor makes the factory certificate that takes the place of the device's.
func (w *world) successor(t *testing.T) esttest.Device {
	t.Helper()
	d := w.device
	d.Key = esttest.Key(t)
	issued, err := w.factory.RekeyFactory(t.Context(), est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: endpoint},
		CSR:    rekeyCSR(t, d.Key, w.device.Key, w.device.DER),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.DER, d.Factory = issued.DER, issued.Hash
	return d
}

// TestFollowFactory moves a device to its new factory certificate: by the one before
// nothing opens any more, by the new one all that opened.
func TestFollowFactory(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	first := w.enrolled(t)
	old := w.device
	fresh := w.successor(t)
	for i := range 2 {
		right, moved, err := w.ca.FollowFactory(ctx, old.Factory, fresh.DER, nil)
		if err != nil || moved != (i == 0) || right.Factory != fresh.Factory || right.State != est.RightConsumed {
			t.Fatalf("FollowFactory, call %d = %+v, %v, %v", i, right.State, moved, err)
		}
	}
	if _, _, err := w.ca.FollowFactory(ctx, fresh.Factory, fresh.DER, nil); err != nil {
		t.Errorf("FollowFactory by the new name = %v", err)
	}
	if _, err := w.ca.Identify(ctx, [][]byte{old.DER}); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("the old certificate = %v, want ErrUnknown", err)
	}
	if _, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("enrolment by the old certificate, same key = %v, want ErrForbidden", err)
	}
	if _, err := w.ca.GrantRight(ctx, est.Grant{FactoryDER: old.DER}); !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("a right for the old certificate = %v, want ErrEndpoint", err)
	}
	who, err := w.ca.Identify(ctx, [][]byte{fresh.DER})
	if err != nil || who.Role != est.RoleFactory || who.Certificate != fresh.Factory {
		t.Errorf("the new certificate = %+v, %v", who, err)
	}
	if op, err := w.ca.Identify(ctx, [][]byte{first.DER}); err != nil || op.Factory != fresh.Factory {
		t.Errorf("the operational certificate is of %x, %v", op.Factory[:4], err)
	}
	if _, err := w.renew(ctx, first, esttest.CSR(t, w.key, endpoint)); err != nil {
		t.Errorf("renewal afterwards = %v", err)
	}
	w.device = fresh
	if _, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint)); err != nil {
		t.Errorf("enrolment by the new certificate, with the key of the right = %v", err)
	}
	if _, err := w.enrol(ctx, esttest.CSR(t, esttest.Key(t), endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("with another key = %v, want ErrWrongKey", err)
	}
}

// TestFollowFactoryRefuses: nothing but the permanent CA's own word moves a device.
func TestFollowFactoryRefuses(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.enrolled(t)
	other := esttest.NewDevice(t, w.factory, "urn:dev:other")
	unlisted := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), endpoint)
	rival := esttest.NewFactory(t, w.clock.Now)
	listed := esttest.NewDevice(t, rival, endpoint)
	if err := w.ca.TrustFactoryCA(ctx, rival.Root().Raw); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		factory est.Hash
		der     []byte
		want    error
	}{
		{"no certificate", w.device.Factory, []byte("x"), est.ErrFactory},
		{"another device's", w.device.Factory, other.DER, est.ErrName},
		{"of a CA that is not listed", w.device.Factory, unlisted.DER, est.ErrFactory},
		{"of another CA that is listed", w.device.Factory, listed.DER, est.ErrFactory},
		{"of a device that is not known", est.Hash{9}, other.DER, est.ErrUnknown},
	} {
		if _, moved, err := w.ca.FollowFactory(ctx, tt.factory, tt.der, nil); !errors.Is(err, tt.want) || moved {
			t.Errorf("%s: FollowFactory = %v, %v, want %v", tt.name, moved, err, tt.want)
		}
	}
	fresh := w.successor(t)
	if _, err := w.ca.SuspendRight(ctx, w.device.Factory); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.ca.FollowFactory(ctx, w.device.Factory, fresh.DER, nil); !errors.Is(err, machine.ErrNoRow) {
		t.Errorf("a device that moves = %v, want ErrNoRow", err)
	}
}
