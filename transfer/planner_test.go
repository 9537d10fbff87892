package transfer_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"steward/transfer"
)

func TestPlanTruststore(t *testing.T) {
	w := newWorld(t)
	own := []transfer.Thumbprint{transfer.ThumbprintOf(w.ca1.cert.Raw)}
	stale := newParty(t, "stale", nil).cert.Raw
	ca1 := transfer.Anchor{
		Instance: 1, Certificate: w.ca1.cert.Raw, Purposes: transfer.DM | transfer.Enrol,
		Domain: transfer.Current,
	}
	permanent := transfer.Anchor{
		Instance: 0, Certificate: w.permanent.cert.Raw, Purposes: transfer.Enrol,
		Domain: transfer.Permanent,
	}
	ca2 := w.certificates[0]
	tests := []struct {
		name string
		have []transfer.Anchor
		want []transfer.OfferCertificate
		plan []transfer.AnchorChange
	}{
		{"nothing staged", []transfer.Anchor{permanent, ca1}, w.certificates, []transfer.AnchorChange{
			{Do: transfer.OpCreate, Certificate: ca2.Certificate, Purposes: ca2.Purposes},
			{Do: transfer.OpCreate, Certificate: w.sp2.cert.Raw, Purposes: transfer.RA},
		}},
		{"half staged, wrong purposes, and one left behind", []transfer.Anchor{
			permanent, ca1,
			{Instance: 2, Certificate: stale, Purposes: transfer.DM, Domain: transfer.Current},
			{Instance: 3, Certificate: ca2.Certificate, Purposes: transfer.DM, Domain: transfer.Current},
		}, w.certificates[:1], []transfer.AnchorChange{
			{Do: transfer.OpDelete, Instance: 2},
			{Do: transfer.OpWrite, Instance: 3, Purposes: ca2.Purposes},
		}},
		{"shared with the permanent and the present domain", []transfer.Anchor{permanent, ca1}, []transfer.OfferCertificate{
			{Certificate: w.permanent.cert.Raw, Purposes: transfer.Enrol},
			{Certificate: w.ca1.cert.Raw, Purposes: transfer.DM},
		}, nil},
		{"done", []transfer.Anchor{permanent, ca1, {
			Instance: 2, Certificate: ca2.Certificate, Purposes: ca2.Purposes, Domain: transfer.Current,
		}}, w.certificates[:1], nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := transfer.PlanTruststore(tt.have, own, tt.want); !reflect.DeepEqual(got, tt.plan) {
				t.Errorf("PlanTruststore = %+v\nwant %+v", got, tt.plan)
			}
		})
	}
}

// TestSharedAnchors accepts a message whose label 8 lists anchors that the device
// trusts already: hierarchies in which the providers share a CA.
func TestSharedAnchors(t *testing.T) {
	w := newWorld(t)
	w.certificates = []transfer.OfferCertificate{
		{Certificate: w.permanent.cert.Raw, Purposes: transfer.Enrol},
		{Certificate: w.ca1.cert.Raw, Purposes: transfer.DM},
	}
	w.refs()
	d, _ := toReady(t, w)
	receipt := must(transfer.ParseReceipt(d.Status().Receipt))(t)
	if want := transfer.ExpectedTruststore(w.permanents, &w.destination, w.certificates,
		transfer.Ready); receipt.Body.Truststore != want {
		t.Error("the digest is not the expected one")
	}
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Enrolled(issue(t, d, &w.permanent)))
	drain(t, d, nil)
	check(t, d.Registered())
	check(t, d.Done(transfer.DoNotify))
	check(t, d.Finalise(order(d)))
	if got := len(d.Truststore()); got != 3 {
		t.Errorf("%d anchors after Finalise, want the permanent one and the two of label 8", got)
	}
}

// documents are a mandate, an info and an offer that fit.
func (w *world) documents(t *testing.T) (*transfer.Signed[transfer.Mandate], *transfer.Signed[transfer.Info],
	transfer.Offer,
) {
	t.Helper()
	mandate := must(transfer.VerifyMandate(must(w.mandate().Sign(w.user.signer()))(t), w.user.cert))(t)
	info := must(transfer.VerifyInfo(must(w.info(mandate.Hash).Sign(w.sp1.signer()))(t), w.sp1.cert))(t)
	return mandate, info, w.offer(t, mandate.Hash, info.Hash)
}

func (w *world) verifiedOffer(t *testing.T, o transfer.Offer) *transfer.Signed[transfer.Offer] {
	t.Helper()
	return must(transfer.VerifyOfferSignature(must(o.Sign(w.sp2.signer()))(t), w.sp2.cert))(t)
}

func TestVerifyOffer(t *testing.T) {
	yes := true
	tests := []struct {
		name   string
		change func(*testing.T, *world, *transfer.Offer, *transfer.OfferContext)
		err    error
	}{
		{"sound", func(*testing.T, *world, *transfer.Offer, *transfer.OfferContext) {}, nil},
		{"T5 for another provider", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Audience = "Gamma"
		}, transfer.ErrOffer},
		{"T5 by another provider", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Issuer = "Gamma"
		}, transfer.ErrOffer},
		{"other mandate", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Mandate[0] ^= 1
		}, transfer.ErrOffer},
		{"T5 another transfer", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Transfer = []byte("x")
		}, transfer.ErrOffer},
		{"T5 another info", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Info[0] ^= 1
		}, transfer.ErrOffer},
		{"T5 other devices", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Accepted[0] ^= 1
		}, transfer.ErrOffer},
		{"nothing accepted", func(_ *testing.T, _ *world, _ *transfer.Offer, c *transfer.OfferContext) {
			c.Accepted = nil
		}, transfer.ErrOffer},
		{"expired", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Expires = transfer.SecondsOf(noon.Add(-time.Hour))
		}, transfer.ErrOffer},
		{"mandate expired", func(_ *testing.T, _ *world, _ *transfer.Offer, c *transfer.OfferContext) {
			c.Mandate.Body.Expires = transfer.SecondsOf(noon.Add(-time.Hour))
		}, transfer.ErrOffer},
		{"window beyond the mandate", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Window.Latest = transfer.SecondsOf(noon.AddDate(1, 0, 0))
		}, transfer.ErrOffer},
		{"window beyond the mandate alone", func(_ *testing.T, _ *world, o *transfer.Offer, c *transfer.OfferContext) {
			c.Mandate.Body.Window.Latest = o.Window.Latest - 60
		}, transfer.ErrOffer},
		{"window beyond the device's", func(_ *testing.T, _ *world, o *transfer.Offer, _ *transfer.OfferContext) {
			o.Window.Latest = transfer.SecondsOf(noon.Add(3 * time.Hour))
		}, transfer.ErrOffer},
		{"T11 no attestation", func(_ *testing.T, _ *world, _ *transfer.Offer, c *transfer.OfferContext) {
			c.Mandate.Body.Attestation = &yes
		}, transfer.ErrOffer},
		{"reset not allowed", func(t *testing.T, w *world, o *transfer.Offer, _ *transfer.OfferContext) {
			t.Helper()
			*w.destination.Reset = transfer.ResetKeepApplication
			o.Destination = must(w.destination.Encode())(t)
		}, transfer.ErrOffer},
		{"plain coap", func(t *testing.T, w *world, o *transfer.Offer, _ *transfer.OfferContext) {
			t.Helper()
			w.destination.UpdateURI = "coap://beta.example"
			o.Destination = must(w.destination.Encode())(t)
		}, transfer.ErrOffer},
		{"no anchor to enrol", func(t *testing.T, w *world, o *transfer.Offer, _ *transfer.OfferContext) {
			t.Helper()
			w.certificates[0].Purposes = transfer.DM
			w.refs()
			o.Destination, o.Anchors = must(w.destination.Encode())(t), w.certificates
		}, transfer.ErrOffer},
		{"anchor that is no certificate", func(t *testing.T, w *world, o *transfer.Offer, _ *transfer.OfferContext) {
			t.Helper()
			w.certificates[1].Certificate = []byte("no certificate")
			w.refs()
			o.Destination, o.Anchors = must(w.destination.Encode())(t), w.certificates
		}, transfer.ErrOffer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			mandate, info, offer := w.documents(t)
			c := transfer.OfferContext{
				Self: "Alpha", Mandate: mandate, Info: info,
				Accepted: []transfer.Hash{w.factoryHash()}, Now: noon,
			}
			tt.change(t, w, &offer, &c)
			if err := transfer.VerifyOffer(w.verifiedOffer(t, offer), c); !errors.Is(err, tt.err) {
				t.Errorf("VerifyOffer = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestOfferRefusesOtherCertificates(t *testing.T) {
	w := newWorld(t)
	o := w.offer(t, transfer.Hash{1}, transfer.Hash{2})
	o.Anchors = o.Anchors[:1]
	if _, err := o.Sign(w.sp2.signer()); !errors.Is(err, transfer.ErrValue) {
		t.Errorf("Sign with a certificate too few = %v, want ErrValue", err)
	}
	o.Anchors = []transfer.OfferCertificate{
		w.certificates[0],
		{Certificate: w.ca1.cert.Raw, Purposes: w.certificates[1].Purposes},
	}
	if _, err := o.Sign(w.sp2.signer()); !errors.Is(err, transfer.ErrValue) {
		t.Errorf("Sign with another certificate = %v, want ErrValue", err)
	}
}

func TestJudgeInfo(t *testing.T) {
	w := newWorld(t)
	mandate, info, _ := w.documents(t)
	answer := must(transfer.JudgeInfo(info, mandate, "Beta", noon, nil))(t)
	if len(answer.Devices) != 1 || answer.Devices[0].Reason != "" || answer.Info != info.Hash {
		t.Errorf("JudgeInfo = %+v, want the device accepted", answer)
	}
	accepted, err := answer.Accepted(info)
	if err != nil || len(accepted) != 1 || accepted[0] != w.factoryHash() {
		t.Errorf("Accepted = %v, %v", accepted, err)
	}
	a := must(transfer.Authorize(&info.Body, accepted, w.window()))(t)
	if len(a) != 1 || a[0].Window != w.window() || !a[0].SPKI.IsZero() {
		t.Errorf("Authorize = %+v", a)
	}
	if _, err := transfer.Authorize(&info.Body, []transfer.Hash{{9}}, w.window()); !errors.Is(err, transfer.ErrInfo) {
		t.Errorf("Authorize of a foreign device = %v, want ErrInfo", err)
	}
	low, yes := uint64(1), true
	for name, change := range map[string]func(*transfer.Mandate, *transfer.Info){
		"not named":       func(m *transfer.Mandate, _ *transfer.Info) { m.Devices.Factory = []transfer.Hash{{9}} },
		"sequence number": func(m *transfer.Mandate, _ *transfer.Info) { m.MaxSequence = &low },
		"no attestation":  func(m *transfer.Mandate, _ *transfer.Info) { m.Attestation = &yes },
		"window":          func(m *transfer.Mandate, _ *transfer.Info) { m.Window = transfer.Window{Earliest: 1, Latest: 2} },
	} {
		m, i := *mandate, *info
		change(&m.Body, &i.Body)
		if got := must(transfer.JudgeInfo(&i, &m, "Beta", noon, nil))(t); got.Devices[0].Reason == "" {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string]func(*transfer.Signed[transfer.Mandate], *transfer.Signed[transfer.Info]){
		"audience": func(_ *transfer.Signed[transfer.Mandate], i *transfer.Signed[transfer.Info]) {
			i.Body.Audience = "x"
		},
		"issuer": func(_ *transfer.Signed[transfer.Mandate], i *transfer.Signed[transfer.Info]) {
			i.Body.Issuer = "x"
		},
		"other mandate": func(m *transfer.Signed[transfer.Mandate], _ *transfer.Signed[transfer.Info]) { m.Hash[0] ^= 1 },
		"to another":    func(m *transfer.Signed[transfer.Mandate], _ *transfer.Signed[transfer.Info]) { m.Body.To = "x" },
		"expired":       func(m *transfer.Signed[transfer.Mandate], _ *transfer.Signed[transfer.Info]) { m.Body.Expires = 1 },
		"C509, not read": func(_ *transfer.Signed[transfer.Mandate], i *transfer.Signed[transfer.Info]) {
			i.Body.Devices = []transfer.DevicePair{{}}
		},
	} {
		m, i := *mandate, *info
		change(&m, &i)
		if _, err := transfer.JudgeInfo(&i, &m, "Beta", noon, nil); !errors.Is(err, transfer.ErrInfo) {
			t.Errorf("%s: JudgeInfo = %v, want ErrInfo", name, err)
		}
	}
	extra := must(transfer.JudgeInfo(info, mandate, "Beta", noon,
		func(transfer.DevicePair) transfer.Reason { return "ours already" }))(t)
	if accepted := must(extra.Accepted(info))(t); len(accepted) != 0 {
		t.Errorf("Accepted = %v, want none", accepted)
	}
}

func TestAnswerFitsInfo(t *testing.T) {
	w := newWorld(t)
	mandate, info, _ := w.documents(t)
	for name, change := range map[string]func(*transfer.Answer){
		"other info":     func(a *transfer.Answer) { a.Info[0] ^= 1 },
		"other transfer": func(a *transfer.Answer) { a.Transfer = []byte("x") },
		"device missing": func(a *transfer.Answer) { a.Devices = nil },
		"other device":   func(a *transfer.Answer) { a.Devices[0].Device[0] ^= 1 },
	} {
		answer := must(transfer.JudgeInfo(info, mandate, "Beta", noon, nil))(t)
		change(&answer)
		if _, err := answer.Accepted(info); !errors.Is(err, transfer.ErrInfo) {
			t.Errorf("%s: Accepted = %v, want ErrInfo", name, err)
		}
	}
}

// TestCompareReady is step 7b on the receipt of a real device: T11, what SP1
// changed is caught before the right opens.
func TestCompareReady(t *testing.T) {
	tests := []struct {
		name   string
		device func(*testing.T, *world) // changes what reaches the device
		change func(*transfer.ReadyContext)
		shown  func(*transfer.Receipt) // changes what the device says
		err    error
	}{
		{name: "sound"},
		{name: "T11 grace", device: func(_ *testing.T, w *world) { *w.destination.Grace = 1 }, err: transfer.ErrReady},
		{name: "T11 update-first", device: func(_ *testing.T, w *world) {
			w.destination.UpdateFirst = true
		}, err: transfer.ErrReady},
		{name: "T11 URI", device: func(_ *testing.T, w *world) {
			w.destination.EnrollURI = "coaps://alpha.example"
		}, err: transfer.ErrReady},
		{name: "T11 anchors", device: func(t *testing.T, w *world) {
			t.Helper()
			w.certificates = append(w.certificates, transfer.OfferCertificate{
				Certificate: newParty(t, "Alpha's own", nil).cert.Raw, Purposes: transfer.DM,
			})
			w.refs()
		}, err: transfer.ErrReady},
		{name: "truststore beside label 8", change: func(c *transfer.ReadyContext) {
			c.Permanent = nil
		}, err: transfer.ErrReady},
		{name: "T11 manifests", change: func(c *transfer.ReadyContext) {
			c.Device.Switch.Manifests[0].Sequence++
		}, err: transfer.ErrReady},
		{name: "manifest missing", change: func(c *transfer.ReadyContext) {
			c.Device.Switch.Manifests = nil
		}, err: transfer.ErrReady},
		{name: "subject", change: func(c *transfer.ReadyContext) { c.Subject = "x" }, err: transfer.ErrReady},
		{name: "too late", change: func(c *transfer.ReadyContext) {
			c.Now = noon.Add(2 * time.Hour)
		}, err: transfer.ErrReady},
		{name: "other device", change: func(c *transfer.ReadyContext) {
			c.Device.Factory.X5Chain = []byte{1}
		}, err: transfer.ErrReady},
		{name: "other transfer", change: func(c *transfer.ReadyContext) {
			c.Offer.Body.Transfer = []byte("x")
		}, err: transfer.ErrReady},
		{name: "not READY", shown: func(r *transfer.Receipt) { r.State = transfer.Committed }, err: transfer.ErrReady},
		{name: "not the first", shown: func(r *transfer.Receipt) { r.Previous = transfer.Hash{1} }, err: transfer.ErrReady},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			_, _, offer := w.documents(t)
			c := transfer.ReadyContext{
				Offer: w.verifiedOffer(t, offer), Device: w.pair(), Subject: w.factory.cert.Subject.CommonName,
				Permanent: w.permanents, Now: noon,
			}
			if tt.device != nil {
				tt.device(t, w)
			}
			if tt.change != nil {
				tt.change(&c)
			}
			d, _ := toReady(t, w)
			receipt := must(transfer.ParseReceipt(d.Status().Receipt))(t)
			if tt.shown != nil {
				tt.shown(&receipt.Body)
			}
			if err := transfer.CompareReady(receipt, c); !errors.Is(err, tt.err) {
				t.Errorf("CompareReady = %v, want %v", err, tt.err)
			}
		})
	}
}
