package sim_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/transfer"
)

// sign encodes what a plan builds, signed for devices of a provider.
func sign(t *testing.T, by transfer.Signer, p author.Plan) []byte {
	t.Helper()
	p.Vendor, p.Class = vendor, class
	built, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cose.NewSigner(by.Key, cose.ESP256, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := author.Sign(built.Envelope, signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// inside is an image for a component, in the envelope.
func inside(name string) author.Image {
	return author.Image{Component: suit.ComponentPath(name), Slots: []author.Slot{{
		Payload: bytes.Repeat([]byte(name), 500), URI: "#" + name, Integrated: true,
	}}}
}

// parts makes a bundle of a device with components of those names.
func (f *factory) parts(p *provider, names ...string) *bundle.Bundle {
	f.t.Helper()
	b := f.device(endpoint, p)
	b.Hardware.Components = nil
	for _, name := range names {
		b.Hardware.Components = append(b.Hardware.Components, hexOf(name))
	}
	return b
}

func hexOf(name string) string {
	const digits = "0123456789abcdef"
	var out []byte
	for i := range len(name) {
		out = append(out, digits[name[i]>>4], digits[name[i]&15])
	}
	return string(out)
}

func advanced(instance uint16, resource uint16) lwm2m.Path {
	return lwm2m.NewPath(objects.AdvancedFirmwareID, instance, resource)
}

func TestAdvancedFirmware(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	r := start(t, f.parts(alpha, "app", "fw", "modem"), options(t.TempDir()))
	r.await(sim.Registered)
	for i, name := range []string{"app", "fw", "modem"} {
		if got := alpha.read(endpoint, advanced(uint16(i), objects.AdvancedComponent)).Text(); got != name {
			t.Errorf("component %d is called %q, want %q", i, got, name)
		}
	}
	version, err := suit.ParseVersion("2.5")
	if err != nil {
		t.Fatal(err)
	}
	both := sign(t, alpha.suit, author.Plan{
		Sequence: 2, Version: version, Images: []author.Image{inside("fw"), inside("modem")},
	})
	if err := alpha.write(advanced(1, objects.FirmwarePackage), lwm2m.Opaque(both)); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Downloaded)
	want := map[uint16]objects.FirmwareState{
		0: objects.FirmwareIdle, 1: objects.FirmwareDownloaded, 2: objects.FirmwareDownloaded,
	}
	for instance, state := range want {
		alpha.awaitInt(advanced(instance, objects.FirmwareStateID), int64(state))
	}
	if _, n, _ := alpha.read(endpoint, advanced(1, objects.AdvancedLinked).Child(0)).Link(); n != 2 {
		t.Errorf("linked instance %d, want 2", n)
	}
	// Another package in between conflicts, and changes nothing.
	other := sign(t, alpha.suit, author.Plan{Sequence: 3, Images: []author.Image{inside("app")}})
	if err := alpha.write(advanced(0, objects.FirmwarePackage), lwm2m.Opaque(other)); err != nil {
		t.Fatal(err)
	}
	alpha.awaitInt(advanced(0, objects.FirmwareResultID), int64(objects.FirmwareConflict))
	if _, n, _ := alpha.read(endpoint, advanced(0, objects.AdvancedConflicting).Child(0)).Link(); n != 1 {
		t.Errorf("conflicting instance %d, want 1", n)
	}
	if err := alpha.srv.Execute(t.Context(), endpoint, advanced(0, objects.FirmwareUpdate), ""); err == nil {
		t.Error("Update of an instance without package is accepted")
	}
	if err := alpha.srv.Execute(t.Context(), endpoint, advanced(1, objects.FirmwareUpdate), ""); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Updated)
	for instance, current := range map[uint16]string{0: "1.0.0", 1: "2.5", 2: "2.5"} {
		if got := alpha.read(endpoint, advanced(instance, objects.AdvancedCurrent)).Text(); got != current {
			t.Errorf("component %d runs %q, want %q", instance, got, current)
		}
	}
	alpha.awaitInt(advanced(2, objects.FirmwareResultID), int64(objects.FirmwareSuccess))
}

// TestExtensions runs manifests that a minimal processor refuses.
func TestExtensions(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.parts(alpha, "fw", "staging", "dep")
	r := start(t, b, options(t.TempDir()))
	r.await(sim.Registered)
	public, err := f.certificate(b).PublicKey.(*ecdsa.PublicKey).ECDH() //nolint:forcetypeassert // made above
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := cose.NewPublicKey(public, nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := inside("fw")
	secret.Staging, secret.Encryption = suit.ComponentPath("staging"), &cose.Encryption{
		Recipients: []*cose.RecipientKey{recipient},
	}
	child := sign(t, alpha.suit, author.Plan{Sequence: 1, Images: []author.Image{inside("fw")}})
	for i, plan := range []author.Plan{
		{Images: []author.Image{secret}},
		{Images: []author.Image{inside("fw")}, UseBefore: uint64(time.Now().Add(time.Hour).Unix())},
		{
			Images:       []author.Image{inside("staging")},
			Dependencies: []author.Dependency{{Component: suit.ComponentPath("dep"), Envelope: child}},
		},
	} {
		plan.Sequence = uint64(2 + i)
		raw := sign(t, alpha.suit, plan)
		alpha.lead(advanced(0, objects.FirmwarePackage), lwm2m.Opaque(raw), nil)
		if e := r.await(sim.Updated); e.Sequence != plan.Sequence {
			t.Errorf("plan %d: runs sequence %d", i, e.Sequence)
		}
	}
	expired := author.Plan{Sequence: 9, Images: []author.Image{inside("fw")}, UseBefore: 1}
	if err := alpha.write(advanced(0, objects.FirmwareURI), lwm2m.String("")); err != nil {
		t.Fatal(err)
	}
	if err := alpha.write(advanced(0, objects.FirmwarePackage), lwm2m.Opaque(sign(t, alpha.suit, expired))); err != nil {
		t.Fatal(err)
	}
	_ = alpha.srv.Execute(t.Context(), endpoint, advanced(0, objects.FirmwareUpdate), "") // if it came so far
	r.await(sim.UpdateFailed)
}

// TestPullResumes cuts the power in the middle of a download, by each protocol: the
// device goes on where it was.
func TestPullResumes(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 32<<10) // 512 KiB: eight pieces
	for _, scheme := range []string{"coaps", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			alpha, f, c := newProvider(t, "alpha"), newFactory(t), &cutter{}
			dir, b := t.TempDir(), f.device(endpoint, alpha)
			o := options(dir)
			o.PowerCut = c.cut
			cuts := keepRunning(t, b, o)
			alpha.await(server.Registered, lwm2m.Path{})
			base := alpha.uri() + "/update"
			if scheme == "https" {
				base = alpha.web(t)
			}
			image := author.Image{Component: suit.NewComponentID([]byte{0}), Slots: []author.Slot{{
				Payload: payload, URI: base + "/p/image",
			}}}
			alpha.mu.Lock()
			alpha.payloads["image"] = payload
			alpha.payloads["envelope"] = sign(t, alpha.suit, author.Plan{Sequence: 2, Images: []author.Image{image}})
			alpha.mu.Unlock()
			c.left.Store(9) // progress, staging, and some pieces
			alpha.lead(firmwareURI, lwm2m.String(base+"/e/envelope"), nil)
			if cuts.Load() != 1 {
				t.Fatalf("%d power cuts, want 1", cuts.Load())
			}
			checkUpdated(t, alpha, dir, b, "sequence 2")
			alpha.mu.Lock()
			defer alpha.mu.Unlock()
			if limit := len(payload) + 2*64<<10; scheme == "coaps" && alpha.served > limit {
				t.Errorf("%d bytes served for an image of %d, want at most %d", alpha.served, len(payload), limit)
			}
			// By TCP the server sends ahead; what the device asks for counts.
			if n := len(alpha.ranges); scheme == "https" && (n != 1 || alpha.ranges[0] < "bytes=131072-") {
				t.Errorf("asked for %q, want one range, not from the beginning", alpha.ranges)
			}
		})
	}
}

// web serves the payloads by HTTPS to devices with certificates, and returns the URI
// below which they are.
func (p *provider) web(t *testing.T) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName != endpoint {
			http.Error(w, "who?", http.StatusForbidden)
			return
		}
		p.mu.Lock()
		body := p.payloads[r.URL.Path[len("/update/p/"):]]
		if r.URL.Path == "/update/e/envelope" {
			body = p.payloads["envelope"]
		}
		p.mu.Unlock()
		if from := r.Header.Get("Range"); from != "" {
			p.mu.Lock()
			p.ranges = append(p.ranges, from)
			p.mu.Unlock()
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}))
	srv.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*p.cert}, ClientAuth: tls.RequireAnyClientCert,
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL + "/update"
}

func TestReports(t *testing.T) {
	t.Parallel()
	alpha, rogue, f := newProvider(t, "alpha"), newProvider(t, "rogue"), newFactory(t)
	r := start(t, f.device(endpoint, alpha), options(t.TempDir()))
	r.await(sim.Registered)
	reports := make(chan *suit.Report, 16)
	defer alpha.srv.Subscribe(func(e server.Event) {
		if e.Kind != server.Sent {
			return
		}
		data, err := objects.DecodeAppData(lwm2m.NewPath(objects.AppDataID, 0), e.Entries)
		if err != nil || e.Device != fleet.ID(endpoint) {
			return
		}
		report, err := suit.ParseReport(data.Data[0])
		if err != nil {
			t.Errorf("report of %d bytes: %v", len(data.Data[0]), err)
			return
		}
		reports <- report
	})()
	bad := manifest(t, rogue.suit, "2.0.0", 2, "")
	if err := alpha.write(firmwarePackage, lwm2m.Opaque(bad)); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Reported)
	got := next(t, reports)
	if got.Failure == nil || got.Failure.Reason != suit.ReportUnauthorised {
		t.Errorf("report of a bad manifest: %+v", got)
	}
	good := manifest(t, alpha.suit, "2.0.0", 2, "")
	alpha.lead(firmwarePackage, lwm2m.Opaque(good), nil)
	r.await(sim.Reported)
	got = next(t, reports)
	if got.Failure != nil {
		t.Errorf("report of a good manifest: %+v", got.Failure)
	}
	if e, err := suit.Decode(good, suit.Limits{}); err != nil || !e.Digest.Equal(got.Digest) {
		t.Errorf("report of %v, want %v (%v)", got.Digest, e.Digest, err)
	}
}

// next returns the next report.
func next(t *testing.T, reports <-chan *suit.Report) *suit.Report {
	t.Helper()
	select {
	case r := <-reports:
		return r
	case <-time.After(patience):
		t.Fatal("no report")
		return nil
	}
}
