package pagebench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// Numbers of things with many rows.
const (
	campaigns       = 20
	transfers       = 60
	perTransfer     = 1000 // devices of one
	releases        = 6
	revokedOf       = 8 // certificates, one
	imageSize       = 20 << 10
	certificateDays = 360
)

// certificates belong to the devices, one after the other; they end over a year.
func (f *filler) certificates(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root, err := est.NewRoot(est.RootOptions{Name: "Bench root", Signer: key, Now: f.now})
	if err != nil {
		return err
	}
	issuer, err := est.NewIssuer(key, root, nil)
	if err != nil {
		return err
	}
	return each(ctx, f.o.Certificates, func(ctx context.Context, i int) error {
		record, err := f.certificate(issuer, root, key, i)
		if err != nil {
			return err
		}
		return f.db.Inventory().Commit(ctx, est.Change{Insert: []est.Record{record}})
	})
}

func (f *filler) certificate(
	issuer *est.Issuer, root *x509.Certificate, key *ecdsa.PrivateKey, i int,
) (est.Record, error) {
	name := string(endpoint(i % f.o.Devices))
	token, err := issuer.Prepare(est.DefaultProfiles().Operational, est.Subject{Name: name, Key: key.Public()}, f.now)
	if err != nil {
		return est.Record{}, err
	}
	c, err := issuer.Issue(token)
	if err != nil {
		return est.Record{}, err
	}
	r := est.Record{
		Hash: sha256.Sum256(c.Raw), Issuer: sha256.Sum256(root.Raw), Serial: fmt.Sprintf("%x", c.SerialNumber),
		SPKI: sha256.Sum256([]byte(name)), Kind: est.KindOperational, Profile: "operational", Name: name,
		Factory: est.Hash(factoryOf(i % f.o.Devices)), DER: c.Raw, Version: 1, Status: est.StatusValid,
		NotBefore: c.NotBefore.UTC(), IssuedAt: f.now,
		NotAfter: f.now.Add(time.Duration(i%certificateDays+1) * 24 * time.Hour),
	}
	if i%revokedOf == 0 {
		r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.Superseded, f.now
	}
	return r, nil
}

// publish adds releases by the API, which writes and signs their manifests.
func (r *run) publish(ctx context.Context) error {
	for i := range releases {
		image := make([]byte, imageSize)
		_, _ = rand.Read(image) // never fails
		in := map[string]any{
			"name": fmt.Sprintf("Meter %d.0", i+1), "image": image, "version": fmt.Sprintf("%d.0.0", i+1),
			"vendor": "works.example", "class": "meter", "approve": true,
		}
		var release struct{ ID string }
		if err := r.web.rest.Post(ctx, "/releases", in, &release); err != nil {
			return err
		}
		bill := fmt.Appendf(nil, billText, i%2) //nolint:mnd // of two versions
		if err := r.web.rest.Send(ctx, http.MethodPut, "/releases/"+release.ID+"/bill", bill, nil); err != nil {
			return err
		}
	}
	list := []byte(listText)
	return r.web.rest.Send(ctx, http.MethodPost, "/vulnerability-lists?name=bench", list, nil)
}

// Every second release has a part that a vulnerability affects.
const (
	billText = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` +
		`{"bom-ref":"a","name":"mbedtls","version":"3.%d.0","purl":"pkg:github/mbed-tls/mbedtls@3.%[1]d.0"}]}`
	listText = `[{"id":"CVE-2026-0001","summary":"overread",` +
		`"affected":[{"package":{"purl":"pkg:github/mbed-tls/mbedtls"},` +
		`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"3.1.0"}]}]}]}]`
)

// campaigns brought every release to devices; that is over.
func (f *filler) campaigns(ctx context.Context) error {
	all, err := f.db.Rollout().ListReleases(ctx, "", releases)
	if err != nil {
		return err
	}
	size := f.o.Devices / 4 //nolint:mnd // of the fleet
	for n := range campaigns {
		c := rollout.Campaign{
			ID: id('C', n), Name: fmt.Sprintf("Round %d", n+1), Release: all[n%len(all)].ID, Delivery: rollout.Pull,
			Size: size, State: rollout.CampaignDone, Since: f.now, CreatedAt: f.now, CreatedBy: "bench", EndedAt: f.now,
			StartedAt: f.now,
		}
		jobs := make([]rollout.Job, 0, size)
		for k := range size {
			j := rollout.Job{
				Campaign: c.ID, Device: deviceID(4*k + n%4), Position: k, State: rollout.Done, Result: 1, Tries: 1,
				BeganAt: f.now, FirstAt: f.now, EndedAt: f.now, UpdatedAt: f.now,
			}
			if k%50 == 0 {
				j.State, j.Reason, j.Result = rollout.Failed, "the device refused the image", 5
			}
			jobs = append(jobs, j)
		}
		if err := f.campaign(ctx, c, jobs, n >= campaigns-4); err != nil {
			return err
		}
	}
	return nil
}

// campaign adds one. Of the last one of each device the server saw how it ended: what
// a device runs follows from that.
func (f *filler) campaign(ctx context.Context, c rollout.Campaign, jobs []rollout.Job, seen bool) error {
	if !seen {
		return f.db.Rollout().AddCampaign(ctx, c, jobs)
	}
	before := slices.Clone(jobs)
	for i := range before {
		before[i].State, before[i].EndedAt = rollout.Installing, time.Time{}
	}
	if err := f.db.Rollout().AddCampaign(ctx, c, before); err != nil {
		return err
	}
	return each(ctx, len(jobs), func(ctx context.Context, i int) error {
		_, err := f.db.Rollout().SetJob(ctx, before[i], jobs[i])
		return err
	})
}

// transfers brought devices to another provider, and some of them back.
func (f *filler) transfers(ctx context.Context) error {
	partner := coordinator.Partner{
		ID: id('Q', 0), Name: "bench-partner", Label: "Bench partner", Kind: coordinator.Provider,
		State: coordinator.Suspended, AddedAt: f.now, AddedBy: "bench",
	}
	added := audit.Row{Actor: "operator:bench", Action: "partner.add", Subject: partner.ID, At: f.now}
	if err := f.db.Transfers().PutPartner(ctx, partner, added); err != nil {
		return err
	}
	size := min(perTransfer, f.o.Devices)
	for n := range transfers {
		t := coordinator.Transfer{
			ID: transferID(n), Partner: partner.ID, PartnerName: partner.Name, State: transfer.BatchComplete,
			Incoming: n%2 == 1, CreatedAt: f.now, CreatedBy: "bench", UpdatedAt: f.now, Self: true,
		}
		ch := coordinator.Change{Transfer: &t}
		for k := range size {
			i := (n*size + k) % f.o.Devices
			factory := factoryOf(i)
			ch.Rows = append(ch.Rows, coordinator.Row{
				Transfer: t.ID, Short: factory.Short(), Device: deviceID(i), Factory: factory, Endpoint: endpoint(i),
				Incoming: t.Incoming, State: transfer.RowRevokedOld, ReadyAt: f.now, CommittedAt: f.now, ActiveAt: f.now,
				UpdatedAt: f.now,
			})
		}
		if err := f.db.Transfers().Commit(ctx, ch); err != nil {
			return err
		}
	}
	return nil
}

func transferID(n int) string { return fmt.Sprintf("%032x", n+1) }

// groups are one of each kind, of many devices: those listed, and those of a filter.
func groups() []string { return []string{"listed", "filtered"} }

func (f *filler) groups(ctx context.Context) error {
	all := f.db.Groups()
	listed := sqlite.Group{Name: "listed", Kind: "static", CreatedAt: f.now, CreatedBy: "bench"}
	filtered := listed
	filtered.Name, filtered.Kind, filtered.Filter = "filtered", "dynamic", "tag=site-07"
	err := errors.Join(all.Put(ctx, filtered), all.Put(ctx, listed))
	if err != nil {
		return err
	}
	const batch, every = 1000, 10
	var add []fleet.ID
	for i := 0; i < f.o.Devices; i += every {
		add = append(add, deviceID(i))
		if len(add) == batch || i+every >= f.o.Devices {
			if err := all.Change(ctx, "listed", add, nil, "bench", ""); err != nil {
				return err
			}
			add = add[:0]
		}
	}
	return nil
}
