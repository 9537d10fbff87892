package sim_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/nvm"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/process"
	"steward/suit/rollout"
)

// vectors is the folder with the cases of the processor.
const vectors = "../../../suit/process/testdata/suit-cases"

// A negative is a case that must fail.
type negative struct {
	Name      string `json:"name"`
	Procedure string `json:"procedure"`
	Expected  struct {
		Result string             `json:"result"`
		Stage  process.Stage      `json:"stage"`
		Update int                `json:"suggested_lwm2m_update_result"`
		Reason *suit.ReportReason `json:"suit_report_reason"`
	} `json:"expected"`
	Device struct {
		Sequence   uint64   `json:"sequence"`
		Extensions []string `json:"extensions"`
	} `json:"device"`
}

// elsewhere are cases of devices that are not like this one.
var elsewhere = map[string]string{
	"neg_dep_unsupported":            "it has trust domains",
	"neg_set_parameters_unsupported": "likewise",
	"neg_use_before_unsupported":     "it has update management",
	"neg_param_encinfo_unsupported":  "it decrypts",
	"neg_digest_sha512_unsupported":  "the case leaves the stage to the device",
	"neg_ab_no_slot":                 "its component has another slot",
	"neg_payload_too_long":           "it fetches by coap, which this device does not",
	"neg_fetch_conn_lost":            "likewise",
	"neg_match_no_digest":            "likewise",
	"neg_rollback_wrap":              "it is of the factory's own sequence number",
}

func negatives(t *testing.T) (out []negative, author crypto.PublicKey) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectors, "INDEX.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Keys map[string]struct {
			PEM string `json:"public_pem"`
		} `json:"keys"`
		Vectors []negative `json:"vectors"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	for _, v := range index.Vectors {
		if v.Expected.Result == "invalid" && v.Procedure == "update" && len(v.Device.Extensions) == 0 &&
			elsewhere[v.Name] == "" {
			out = append(out, v)
		}
	}
	block, _ := pem.Decode([]byte(index.Keys["author"].PEM))
	if author, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return out, author
}

func vectorBytes(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectors, name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// vectorDevice is the device of the cases.
func vectorDevice(t *testing.T, alpha *provider, f *factory, key crypto.PublicKey) *bundle.Bundle {
	t.Helper()
	issued, err := alpha.ca.IssueSigner(t.Context(), est.KindSUITSigner, "author", key)
	if err != nil {
		t.Fatal(err)
	}
	alpha.suit.Certificate = issued.DER // trusted for manifests
	b := f.parts(alpha, "fw", "cfg", "staging", "modem", "ram")
	v := author.VendorID("vendor.example")
	b.Hardware.Vendor, b.Hardware.Class = v.String(), author.ClassID(v, "sensor-x rev 2").String()
	b.Firmware.Sequence = 9
	return b
}

// TestBadInput sends every case that must fail as an update to a device: each ends
// in the stage and with the reason of its case, nothing but staging was written, the
// image of before boots, and the operator reads words.
func TestBadInput(t *testing.T) {
	t.Parallel()
	cases, key := negatives(t)
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b, dir := vectorDevice(t, alpha, f, key), t.TempDir()
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	reports := make(chan *suit.Report, 4096)
	defer alpha.srv.Subscribe(func(e server.Event) {
		data, err := objects.DecodeAppData(lwm2m.NewPath(objects.AppDataID, 0), e.Entries)
		if e.Kind != server.Sent || err != nil {
			return
		}
		if report, err := suit.ParseReport(data.Data[0]); err == nil {
			reports <- report
		}
	})()
	base := advanced(0, objects.FirmwarePackage)
	alpha.lead(base, lwm2m.Opaque(vectorBytes(t, "base_integrated")), nil)
	r.await(sim.Updated)
	before := installedIn(t, dir, b)
	for _, c := range cases {
		raw := vectorBytes(t, c.Name)
		if err := alpha.write(advanced(0, objects.FirmwareURI), lwm2m.String("")); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if err := alpha.write(base, lwm2m.Opaque(raw)); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		state, _ := alpha.read(endpoint, advanced(0, objects.FirmwareStateID)).Int()
		if objects.FirmwareState(state) == objects.FirmwareDownloaded {
			if err := alpha.srv.Execute(t.Context(), endpoint, advanced(0, objects.FirmwareUpdate), ""); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}
		e := r.await(sim.UpdateFailed)
		alpha.awaitInt(advanced(0, objects.FirmwareStateID), int64(objects.FirmwareIdle))
		checkRefusal(t, c, raw, e, awaitReport(t, reports, raw))
		result, _ := alpha.read(endpoint, advanced(0, objects.FirmwareResultID)).Int()
		if result != int64(c.Expected.Update) {
			t.Errorf("%s: result %d, want %d (%s)", c.Name, result, c.Expected.Update, e.Error)
		}
		if after := installedIn(t, dir, b); !sameValues(before, after) {
			t.Errorf("%s: something was written outside the staging area", c.Name)
		}
	}
	t.Logf("%d cases", len(cases))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	boots(t, dir, b, key)
}

// checkRefusal compares what device and operator are told with the case.
func checkRefusal(t *testing.T, c negative, raw []byte, e sim.Event, report *suit.Report) {
	t.Helper()
	if !strings.HasPrefix(e.Error, string(c.Expected.Stage)+": ") {
		t.Errorf("%s: %q, want stage %s", c.Name, e.Error, c.Expected.Stage)
	}
	if report.Failure == nil || c.Expected.Reason != nil && report.Failure.Reason != *c.Expected.Reason {
		t.Errorf("%s: report tells %+v, want reason %v", c.Name, report.Failure, *c.Expected.Reason)
		return
	}
	var m *suit.Manifest
	if envelope, err := suit.Decode(raw, suit.Limits{}); err == nil {
		m, _ = envelope.Manifest() // nil if it cannot be read
	}
	if words := rollout.Explain(report.Failure, m); !strings.Contains(words, " ") || words[0] >= '0' && words[0] <= '9' {
		t.Errorf("%s: the operator reads %q", c.Name, words)
	}
}

// awaitReport returns the report on an envelope.
func awaitReport(t *testing.T, reports <-chan *suit.Report, raw []byte) *suit.Report {
	t.Helper()
	want, _ := suit.Sum(suit.SHA256, raw) // names what cannot be parsed
	if e, err := suit.Decode(raw, suit.Limits{}); err == nil {
		want = e.Digest
	}
	for {
		select {
		case r := <-reports:
			if r.Digest.Equal(want) && r.Failure != nil {
				return r
			}
		case <-time.After(patience):
			t.Fatalf("no report of %v", want)
		}
	}
}

// installedIn returns what the memory of a device holds beside staging and what the
// object shows.
func installedIn(t *testing.T, dir string, b *bundle.Bundle) map[string][]byte {
	t.Helper()
	all, err := nvm.Read(filepath.Join(dir, strings.TrimSuffix(b.Name(), bundle.Suffix)+".state"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range all {
		if !strings.HasPrefix(key, "suit/") {
			delete(all, key)
		}
	}
	return all
}

func sameValues(a, b map[string][]byte) bool {
	for key, value := range a {
		if !bytes.Equal(value, b[key]) {
			return false
		}
	}
	return len(a) == len(b)
}

// boots starts what is installed, as the device's boot loader does.
func boots(t *testing.T, dir string, b *bundle.Bundle, key crypto.PublicKey) {
	t.Helper()
	nv, err := nvm.Open(nvm.Options{Path: filepath.Join(dir, strings.TrimSuffix(b.Name(), bundle.Suffix)+".state")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nv.Close() }()
	components, err := b.ComponentIDs()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := b.Identity()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.New(process.Options{
		Target: sim.NewTarget(nv, components...), Anchors: []process.Anchor{{Key: key}}, Identity: identity,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Boot(t.Context()); err != nil {
		t.Errorf("the image of before does not boot: %v", err)
	}
}
