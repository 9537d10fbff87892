package est_test

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine"
	"steward/lwm2m/machine/machinetest"
)

func TestApprovalTable(t *testing.T) {
	if err := est.ApprovalTable.Check(est.ApprovalWaiting); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/approval.mmd", est.ApprovalTable.Mermaid(est.ApprovalWaiting), *update)
}

func TestApproval(t *testing.T) {
	w := newWorldOf(t, est.ProfileOptions{Approval: true}, nil)
	ctx, client := t.Context(), w.device.Factory
	w.open(t, nil)
	firstKey := esttest.Key(t)
	first, second := esttest.CSR(t, firstKey, endpoint), esttest.CSR(t, w.key, endpoint)
	pending := func(csr []byte) {
		t.Helper()
		if _, err := w.enrol(ctx, csr); !errors.Is(err, est.ErrPending) {
			t.Fatalf("Enrol = %v, want ErrPending", err)
		}
	}
	pending(first)
	before := w.actions()
	pending(first)                              // asked again, nothing is written
	pending(esttest.CSR(t, firstKey, endpoint)) // the same key, signed anew
	if w.actions() != before {
		t.Errorf("rows of a repeated request: %s", w.actions())
	}
	pending(second)
	if _, err := w.ca.Approve(ctx, client, sha256.Sum256(first), ""); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Approve what was replaced = %v, want ErrUnknown", err)
	}
	list, err := w.ca.Approvals(ctx, est.ApprovalWaiting, est.Hash{}, 10)
	if err != nil || len(list) != 1 || list[0].CSR != sha256.Sum256(second) || list[0].SPKI != spki(t, w.key) {
		t.Fatalf("Approvals = %+v, %v", list, err)
	}
	refused, err := w.ca.As("operator:1").Refuse(ctx, client, list[0].CSR, "who is that?")
	if err != nil || refused.By != "operator:1" {
		t.Fatalf("Refuse = %+v, %v", refused, err)
	}
	if _, err := w.enrol(ctx, second); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("Enrol what was refused = %v, want ErrForbidden", err)
	}
	pending(first) // another request may wait again
	pending(second)
	if _, err := w.ca.As("operator:1").Approve(ctx, client, sha256.Sum256(second), "seen"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(ctx, first); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("Enrol while another is approved = %v, want ErrWrongKey", err)
	}
	issued, err := w.enrol(ctx, second)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.enrol(ctx, second); err != nil || again.Hash != issued.Hash {
		t.Errorf("Enrol again = %x, %v", again.Hash, err)
	}
	if _, err := w.ca.Refuse(ctx, client, sha256.Sum256(second), ""); !errors.Is(err, machine.ErrNoRow) {
		t.Errorf("Refuse what was used = %v, want ErrNoRow", err)
	}
	if renewed, err := w.renew(ctx, issued, esttest.CSR(t, w.key, endpoint)); err != nil || renewed.Hash == issued.Hash {
		t.Errorf("a renewal needs no approval: %v", err)
	}
	for _, want := range []string{"approval.ask", "approval.refuse", "approval.approve", "alarm.wrong_key"} {
		if !strings.Contains(w.actions(), want) {
			t.Errorf("%s is not audited: %s", want, w.actions())
		}
	}
}

func TestBootstrapRight(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const name = "urn:dev:psk"
	ask := func(c est.Client, key crypto.Signer) (est.Issued, error) {
		return w.ca.Enrol(ctx, est.Request{Client: c, CSR: esttest.CSR(t, key, name)})
	}
	stranger := est.Client{Role: est.RoleBootstrap, Certificate: est.BootstrapRight(name), Name: name}
	if _, err := ask(stranger, w.key); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("Enrol without bootstrap = %v, want ErrForbidden", err)
	}
	client, err := w.ca.OpenBootstrap(ctx, name)
	if err != nil || client != stranger {
		t.Fatalf("OpenBootstrap = %+v, %v", client, err)
	}
	first, err := ask(client, w.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(client, esttest.Key(t)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("Enrol with another key = %v, want ErrWrongKey", err)
	}
	if client, err = w.ca.OpenBootstrap(ctx, name); err != nil { // it lost its key
		t.Fatal(err)
	}
	if err := w.ca.Live(ctx, first.Hash, w.clock.Now()); err != nil {
		t.Errorf("the certificate ends with the bootstrap: %v", err)
	}
	second, err := ask(client, esttest.Key(t))
	if err != nil {
		t.Fatal(err)
	}
	if live := w.live(t); len(live) != 1 || live[0] != second.Hash {
		t.Errorf("live %x, want %x alone", live, second.Hash)
	}
	if _, err := w.ca.DeleteRight(ctx, client.Certificate, est.CessationOfOperation); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.OpenBootstrap(ctx, name); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("OpenBootstrap of a deleted right = %v, want ErrForbidden", err)
	}
	if _, err := w.ca.OpenBootstrap(ctx, ""); !errors.Is(err, est.ErrName) {
		t.Errorf("OpenBootstrap of nobody = %v, want ErrName", err)
	}
	// A device with a factory certificate keeps its right as it is.
	if client, err = w.ca.OpenBootstrap(ctx, endpoint); err != nil || client.Certificate != w.device.Factory {
		t.Errorf("OpenBootstrap of a device with a factory certificate = %+v, %v", client, err)
	}
	if r, err := w.ca.Right(ctx, w.device.Factory); err != nil || r.State != est.RightClosed {
		t.Errorf("its right is %s, %v", r.State, err)
	}
}
