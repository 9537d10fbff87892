package services_test

import (
	"fmt"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/web"
)

const lampBill = `{"bomFormat": "CycloneDX", "specVersion": "1.6",
	"metadata": {"component": {"bom-ref": "fw", "name": "lamp", "purl": "pkg:generic/lamp"}},
	"components": [{"bom-ref": "a", "name": "mbedtls", "version": "%s", "purl": "pkg:github/mbed-tls/mbedtls@%[1]s"},
		{"bom-ref": "b", "name": "<b>zephyr</b>", "version": "3.6"}, {"name": "third"}]}`

const tlsList = `[{"id": "CVE-2026-1", "summary": "overread",
	"affected": [{"package": {"purl": "pkg:github/mbed-tls/mbedtls"},
		"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "3.5.2"}]}]}]}]`

const lampVEX = `{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [
	{"vulnerability": {"name": "CVE-2026-1"}, "status": "not_affected", "justification": "component_not_present",
		"products": [{"@id": "pkg:generic/lamp"}]}]}`

// runs makes devices run a release, as jobs tell.
func (w *world) runs(t *testing.T, release string, devices ...string) {
	t.Helper()
	c, err := w.Campaigns.CreateCampaign(t.Context(), alice,
		web.NewCampaign{Release: release, Delivery: web.Push, Devices: devices})
	if err != nil {
		t.Fatal(err)
	}
	w.finish(t, c.ID)
}

func TestBills(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var names []string
	for i := range 3 {
		d := fleet.Device{Endpoint: lwm2m.Endpoint(fmt.Sprint("e", i)), Ownership: fleet.Owned}
		names = append(names, string(w.add(t, d).ID))
	}
	old, fixed := w.released(t, "1.0"), w.released(t, "1.1")
	if d, err := w.Releases.Release(ctx, old.ID); err != nil || d.Bill != nil || len(d.Manifests) != 2 ||
		!strings.Contains(d.Manifests[0].Diagnostic, "install") || d.Manifests[1].Steps[0] != "install: fetch 00" {
		t.Errorf("Release = %+v, %v", d, err)
	}
	_, err := w.Bills.SetBill(ctx, alice, "x", []byte(lampBill))
	wantError(t, "a bill of no release", err, web.ErrNotFound)
	_, err = w.Bills.SetBill(ctx, alice, old.ID, []byte("{}"))
	wantError(t, "no bill", err, web.ErrInvalid)
	_, err = w.Bills.Bill(ctx, old.ID)
	wantError(t, "the bill of a release without", err, web.ErrNotFound)

	document := fmt.Sprintf(lampBill, "3.5.0")
	b, err := w.Bills.SetBill(ctx, alice, old.ID, []byte(document))
	if err != nil || b.Parts != 3 || b.Format != "CycloneDX 1.6" || len(b.Findings) != 0 {
		t.Fatalf("SetBill = %+v, %v", b, err)
	}
	if got, err := w.Bills.Bill(ctx, old.ID); err != nil || string(got) != document {
		t.Errorf("Bill = %q, %v", got, err)
	}
	l, err := w.Vulnerabilities.ImportVulnerabilities(ctx, alice, "", []byte(tlsList))
	if err != nil || l.Name != "OSV" || l.Count != 1 {
		t.Fatalf("ImportVulnerabilities = %+v, %v", l, err)
	}
	if b, err := w.Bills.SetBill(ctx, alice, fixed.ID, fmt.Appendf(nil, lampBill, "3.5.2")); err != nil ||
		len(b.Findings) != 0 {
		t.Errorf("SetBill of the fixed release = %+v, %v", b, err)
	}
	w.runs(t, old.ID, names[:2]...)
	w.runs(t, fixed.ID, names[2])
	w.exposes(t, old.ID, "affected", 2)

	parts, err := w.Bills.Parts(ctx, old.ID, web.Page{Size: 2})
	if err != nil || len(parts.Items) != 2 || parts.Items[1].Name != "<b>zephyr</b>" || parts.Next == "" {
		t.Errorf("Parts = %+v, %v", parts, err)
	}
	rest, err := w.Bills.Parts(ctx, old.ID, web.Page{Size: 2, After: parts.Next})
	if err != nil || len(rest.Items) != 1 || rest.Next != "" {
		t.Errorf("Parts = %+v, %v", rest, err)
	}
	_, err = w.Bills.Parts(ctx, old.ID, web.Page{After: "9"})
	wantError(t, "parts after the last", err, web.ErrInvalid)

	w.runs(t, fixed.ID, names[0]) // one of them is updated
	w.exposes(t, old.ID, "affected", 1)
	if _, err := w.Vulnerabilities.ImportVulnerabilities(ctx, alice, "ours", []byte(lampVEX)); err != nil {
		t.Fatal(err)
	}
	w.exposes(t, old.ID, "not_affected", 0)
	lists, err := w.Vulnerabilities.VulnerabilityLists(ctx)
	if err != nil || len(lists) != 2 {
		t.Fatalf("VulnerabilityLists = %+v, %v", lists, err)
	}
	if err := w.Vulnerabilities.RemoveVulnerabilities(ctx, alice, lists[1].ID, "wrong"); err != nil {
		t.Fatal(err)
	}
	w.exposes(t, old.ID, "affected", 1)
	err = w.Vulnerabilities.RemoveVulnerabilities(ctx, alice, lists[1].ID, "wrong")
	wantError(t, "a list that is gone", err, web.ErrNotFound)
	if row := w.audited(t, "vulnerability_list.remove"); row.Reason != "wrong" || row.Before != "ours" {
		t.Errorf("audit row = %+v", row.Row)
	}
	_, err = w.Vulnerabilities.ImportVulnerabilities(ctx, alice, "x", []byte("<xml/>"))
	wantError(t, "a list that is none", err, web.ErrInvalid)
}

// exposes checks what every place says about the only vulnerability.
func (w *world) exposes(t *testing.T, release, status string, devices int) {
	t.Helper()
	ctx := t.Context()
	found, err := w.Bills.Findings(ctx, release, web.Page{})
	if err != nil || len(found.Items) != 1 || found.Items[0].Status != status || found.Items[0].Exposed != devices {
		t.Errorf("Findings = %+v, %v; want %s, %d exposed", found, err, status, devices)
	}
	known, err := w.Vulnerabilities.ListVulnerabilities(ctx, web.Page{})
	if err != nil || len(known.Items) != 1 || known.Items[0].ID != "CVE-2026-1" || known.Items[0].Exposed != devices {
		t.Errorf("ListVulnerabilities = %+v, %v; want %d exposed", known, err, devices)
	}
	d, err := w.Releases.Release(ctx, release)
	if err != nil || d.Bill == nil || d.Bill.Findings[status] != 1 || d.Exposed != devices {
		t.Errorf("Release = %+v, %v; want %d exposed", d, err, devices)
	}
	for _, filter := range []string{"CVE-2026-1", "*"} {
		list, err := w.Devices.ListDevices(ctx, web.DeviceFilter{Exposed: filter}, web.Page{})
		if err != nil || len(list.Items) != devices {
			t.Errorf("devices exposed to %s: %d, %v; want %d", filter, len(list.Items), err, devices)
		}
	}
	o, err := w.Overview.Overview(ctx, w.clock.Now())
	notices := fmt.Sprint(o.Notices)
	if err != nil || strings.Contains(notices, "known vulnerability") != (devices > 0) {
		t.Errorf("Overview says %s, %v", notices, err)
	}
	if running, err := w.Devices.ListDevices(ctx, web.DeviceFilter{Release: release}, web.Page{}); err != nil ||
		len(running.Items) != d.Running {
		t.Errorf("devices that run it: %d, %v; want %d", len(running.Items), err, d.Running)
	}
}

// finish makes all jobs of a campaign done.
func (w *world) finish(t *testing.T, campaign string) {
	t.Helper()
	store := w.db.Rollout()
	lines, err := store.Lines(t.Context(), campaign, rollout.Job{Position: -1}, 100)
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	for _, l := range lines {
		done := l.Job
		done.State = rollout.Done
		if ok, err := store.SetJob(t.Context(), l.Job, done); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
}
