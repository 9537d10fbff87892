package services_test

import (
	"bytes"
	"crypto"
	"sync"
	"testing"

	"steward/cmd/internal/services"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/web"
)

// image is a release of an image as an operator uploads it.
func image(version string) web.NewRelease {
	return web.NewRelease{
		Name: "fw", Image: []byte("image " + version), Version: version, Vendor: "example.com", Class: "lamp",
		Approve: true,
	}
}

func (w *world) released(t *testing.T, version string) web.Release {
	t.Helper()
	r, err := w.Releases.AddRelease(t.Context(), alice, image(version))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuthorRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	first := w.released(t, "1.0")
	if first.Sequence != 1 || first.Size != len("image 1.0") || first.CreatedBy != "operator:alice" ||
		first.Name != "fw" || first.Vendor != author.VendorID("example.com").String() || first.Signer != "73756974" {
		t.Errorf("AddRelease = %+v", first)
	}
	if row := w.audited(t, "release.add"); row.Actor != "operator:alice" || row.Subject != first.ID {
		t.Errorf("audit row = %+v", row.Row)
	}
	if second := w.released(t, "1.1"); second.Sequence != 2 {
		t.Errorf("the next has sequence number %d", second.Sequence)
	}
	low := image("1.2")
	low.Sequence = 2
	_, err := w.Releases.AddRelease(ctx, alice, low)
	wantError(t, "a sequence number that devices have", err, web.ErrConflict)
	low.Sequence = 1 << 63
	_, err = w.Releases.AddRelease(ctx, alice, low)
	wantError(t, "a sequence number above 2^63", err, web.ErrInvalid)
	for name, change := range map[string]func(*web.NewRelease){
		"no image":   func(r *web.NewRelease) { r.Image = nil },
		"no version": func(r *web.NewRelease) { r.Version = " " },
		"no vendor":  func(r *web.NewRelease) { r.Vendor = "" },
		"no class":   func(r *web.NewRelease) { r.Class = "" },
		"name":       func(r *web.NewRelease) { r.Name = "a\x1b[0m" },
		"envelope":   func(r *web.NewRelease) { r.Envelope = []byte("hello") },
	} {
		bad := image("1.3")
		change(&bad)
		_, err := w.Releases.AddRelease(ctx, alice, bad)
		wantError(t, name, err, web.ErrInvalid)
	}
	large := image("1.4")
	large.Image = make([]byte, rollout.MaxImage+1)
	_, err = w.Releases.AddRelease(ctx, alice, large)
	wantError(t, "too large", err, web.ErrTooLarge)

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.Releases.AddRelease(ctx, alice, image("2.0")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	p := web.Page{Size: 3}
	for {
		list, err := w.Releases.ListReleases(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Items {
			seen[r.Sequence] = true
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if len(seen) != 10 {
		t.Errorf("sequence numbers = %v, want 1 to 10", seen)
	}
	got, err := w.Releases.Release(ctx, first.ID)
	if err != nil || got.Digest != first.Digest || len(got.Components) != 1 {
		t.Errorf("Release = %+v, %v", got, err)
	}
}

// signed is an envelope with an integrated image, signed by key.
func signed(t *testing.T, key crypto.Signer, sequence uint64) []byte {
	t.Helper()
	signer, err := cose.NewSigner(key, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	vendor := author.VendorID("example.com")
	_, content, err := rollout.AuthorRelease(rollout.ImageSpec{
		ID: "x", Version: "3.0", Vendor: vendor, Class: author.ClassID(vendor, "lamp"), Sequence: sequence,
		Image: []byte("image"),
	}, "coaps://example.com/x", signer, esttest.NewClock().Now())
	if err != nil {
		t.Fatal(err)
	}
	return content.Push
}

func TestImportRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	listed, stranger := esttest.Key(t), esttest.Key(t)
	issued, err := w.ca.IssueSigner(ctx, est.KindSUITSigner, "Vendor", listed.Public())
	if err != nil {
		t.Fatal(err)
	}
	envelope := signed(t, listed, 7)
	got, err := w.Releases.AddRelease(ctx, alice, web.NewRelease{Name: "theirs", Envelope: envelope})
	if err != nil || got.Sequence != 7 || got.Version != "3.0" || got.Size != len("image") ||
		got.CreatedBy != "operator:alice" {
		t.Errorf("AddRelease = %+v, %v", got, err)
	}
	flipped := bytes.Replace(envelope, []byte("3.0"), []byte("3.1"), 1)
	for name, n := range map[string]web.NewRelease{
		"a stranger's":      {Envelope: signed(t, stranger, 8)},
		"altered":           {Envelope: flipped},
		"cut":               {Envelope: envelope[:len(envelope)-1]},
		"another version":   {Envelope: envelope, Version: "9"},
		"a number too high": {Envelope: signed(t, listed, 1<<63)},
	} {
		_, err := w.Releases.AddRelease(ctx, alice, n)
		wantError(t, name, err, web.ErrInvalid)
	}
	if err := w.ca.Revoke(ctx, issued.Hash, est.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	_, err = w.Releases.AddRelease(ctx, alice, web.NewRelease{Envelope: envelope})
	wantError(t, "of a signer revoked", err, web.ErrInvalid)

	w2 := newWorld(t)
	w2.build(t, withKeys(w2, stranger.Public()))
	if _, err := w2.Releases.AddRelease(ctx, alice, web.NewRelease{Envelope: signed(t, stranger, 8)}); err != nil {
		t.Errorf("with a configured key: %v", err)
	}
}

// withKeys are the options of w with further SUIT signer keys.
func withKeys(w *world, keys ...crypto.PublicKey) services.Options {
	o := w.options
	o.SUITKeys = keys
	return o
}

func TestCampaign(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var names []string
	for _, ep := range []lwm2m.Endpoint{"a", "b", "c", "d", "e"} {
		names = append(names, string(w.add(t, fleet.Device{Endpoint: ep}).ID))
	}
	left := w.add(t, fleet.Device{Endpoint: "gone", Ownership: fleet.Left})
	r := w.released(t, "1.0")
	pushed, err := w.Releases.AddRelease(ctx, alice, web.NewRelease{Envelope: signed(t, w.key, 50), Approve: true})
	if err != nil {
		t.Fatal(err)
	}
	to := func(devices ...string) web.NewCampaign {
		return web.NewCampaign{Release: r.ID, Delivery: web.Push, Devices: devices}
	}
	for _, c := range []struct {
		name string
		n    web.NewCampaign
		want error
	}{
		{"unknown device", to(names[0], "nobody"), web.ErrInvalid},
		{"unknown endpoint", to("ep:nobody"), web.ErrInvalid},
		{"no device", to(), web.ErrInvalid},
		{"a device that left", to(string(left.ID)), web.ErrConflict},
		{"unknown release", web.NewCampaign{Release: "x", Delivery: web.Push, Devices: names}, web.ErrInvalid},
		{"no delivery", web.NewCampaign{Release: r.ID, Devices: names}, web.ErrInvalid},
		{"cannot be pulled", web.NewCampaign{Release: pushed.ID, Delivery: web.Pull, Devices: names}, web.ErrConflict},
		{"name", web.NewCampaign{Name: "\n", Release: r.ID, Delivery: web.Push, Devices: names}, web.ErrInvalid},
	} {
		_, err := w.Campaigns.CreateCampaign(ctx, alice, c.n)
		wantError(t, c.name, err, c.want)
	}
	if list, err := w.Campaigns.ListCampaigns(ctx, web.Page{}); err != nil || len(list.Items) != 0 {
		t.Errorf("refused campaigns left %d, %v", len(list.Items), err)
	}

	all := append([]string{"ep:a", names[1]}, names...) // some twice
	c, err := w.Campaigns.CreateCampaign(ctx, alice, web.NewCampaign{Release: r.ID, Delivery: web.Pull, Devices: all})
	if err != nil || c.Total != 5 || c.Counts["planned"] != 5 || c.Level != web.LevelActive || c.Name != "fw 1.0" ||
		c.CreatedBy != "operator:alice" || c.Release.ID != r.ID {
		t.Fatalf("CreateCampaign = %+v, %v", c, err)
	}
	jobs, err := w.Campaigns.Jobs(ctx, c.ID, web.JobFilter{}, web.Page{Size: 3})
	if err != nil || len(jobs.Items) != 3 || jobs.Next == "" || jobs.Items[0].Endpoint != "a" ||
		jobs.Items[0].Size != r.Size {
		t.Errorf("Jobs = %+v, %v", jobs, err)
	}
	rest, err := w.Campaigns.Jobs(ctx, c.ID, web.JobFilter{}, web.Page{Size: 3, After: jobs.Next})
	if err != nil || len(rest.Items) != 2 || rest.Next != "" {
		t.Errorf("Jobs = %+v, %v", rest, err)
	}
	list, err := w.Devices.ListDevices(ctx, web.DeviceFilter{Campaign: c.ID}, web.Page{})
	if err != nil || len(list.Items) != 5 {
		t.Errorf("devices of the campaign: %d, %v", len(list.Items), err)
	}
	if o, err := w.Overview.Overview(ctx, w.clock.Now()); err != nil || o.CampaignsActive != 1 {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	abort := web.CampaignCommand{Action: web.CampaignAbort, Reason: "wrong image"}
	done, err := w.Campaigns.CommandCampaign(ctx, alice, c.ID, abort)
	if err != nil || !done.Ended || done.State != "aborted" || done.Counts["aborted"] != 5 ||
		done.Level != web.LevelWarning {
		t.Errorf("CommandCampaign = %+v, %v", done, err)
	}
	if row := w.audited(t, "campaign.state"); row.Actor != "operator:alice" || row.Reason != "wrong image" {
		t.Errorf("audit row = %+v", row.Row)
	}
	_, err = w.Campaigns.CommandCampaign(ctx, alice, c.ID, abort)
	wantError(t, "abort again", err, web.ErrConflict)
}

// TestSecretRelease adds an image with secrets: its ciphertext is kept beside it.
func TestSecretRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := image("1.0")
	n.Secret, n.Staging = true, "01/a0"
	r, err := w.Releases.AddRelease(ctx, alice, n)
	if err != nil || !r.Secret {
		t.Fatalf("AddRelease = %+v, %v", r, err)
	}
	stored, err := w.db.Rollout().Release(ctx, r.ID)
	if err != nil || stored.Sealed == nil || string(stored.Sealed.Staging) != "\x82\x41\x01\x41\xa0" {
		t.Fatalf("stored %+v, %v", stored.Sealed, err)
	}
	cipher, err := w.db.Rollout().Chunk(ctx, r.ID, rollout.PartCipher, 0)
	if err != nil || len(cipher) != stored.Sealed.Size || bytes.Contains(cipher, n.Image) {
		t.Errorf("ciphertext of %d bytes, %v", len(cipher), err)
	}
	if open := w.released(t, "1.1"); open.Secret {
		t.Error("a release without secrets says that it has some")
	}
	for name, change := range map[string]func(*web.NewRelease){
		"nowhere to fetch it": func(r *web.NewRelease) { r.Staging = "" },
		"no secrets":          func(r *web.NewRelease) { r.Secret = false },
		"not hexadecimal":     func(r *web.NewRelease) { r.Staging = "fw" },
		"an empty segment":    func(r *web.NewRelease) { r.Staging = "01//02" },
		"the image's place":   func(r *web.NewRelease) { r.Staging = "00" },
		"made elsewhere":      func(r *web.NewRelease) { r.Image, r.Envelope = nil, []byte{1} },
	} {
		bad := image("1.2")
		bad.Secret, bad.Staging = true, "01"
		change(&bad)
		_, err := w.Releases.AddRelease(ctx, alice, bad)
		wantError(t, name, err, web.ErrInvalid)
	}
}
