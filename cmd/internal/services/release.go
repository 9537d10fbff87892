package services

import (
	"cmp"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"math"
	"sync"

	"steward/est"
	"steward/suit"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/suit/sbom"
	"steward/web"
)

// releases implements web.Releases.
type releases struct {
	*base

	mu sync.Mutex // one release at a time chooses the next sequence number
}

// ListReleases implements web.Releases.
func (s *releases) ListReleases(ctx context.Context, p web.Page) (web.List[web.Release], error) {
	rows, err := s.DB.Rollout().ListReleases(ctx, p.After, limit(p))
	if err != nil {
		return web.List[web.Release]{}, translate(err)
	}
	return paged(p, rows, func(r rollout.Release) string { return r.ID },
		func(r rollout.Release) (web.Release, error) { return showRelease(r), nil })
}

// releaseLevels says how the states of a release are to be taken.
var releaseLevels = map[rollout.ReleaseState]web.Level{
	rollout.ReleaseDraft: web.LevelWarning, rollout.ReleaseApproved: web.LevelGood,
	rollout.ReleaseWithdrawn: web.LevelBad,
}

func showRelease(r rollout.Release) web.Release {
	out := web.Release{
		ID: r.ID, Name: r.Name, Version: r.Version, Sequence: r.Sequence, Vendor: r.Vendor, Class: r.Class,
		Components: r.Images, Digest: hex.EncodeToString(r.Digest.Value), Size: r.Size, Signer: r.Signer,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, State: string(r.State), Level: releaseLevels[r.State],
		Secret: r.Sealed != nil,
	}
	for _, row := range rollout.ReleaseTable {
		if row.From == r.State {
			out.Actions = append(out.Actions, web.ReleaseAction(row.On))
		}
	}
	for _, d := range r.Decisions {
		out.Decisions = append(out.Decisions, web.ReleaseDecision{
			Action: web.ReleaseAction(d.On), By: d.By, Reason: d.Reason, At: d.At,
		})
	}
	return out
}

// Release implements web.Releases.
func (s *releases) Release(ctx context.Context, id string) (web.ReleaseDetail, error) {
	r, err := s.release(ctx, id)
	if err != nil {
		return web.ReleaseDetail{}, err
	}
	out := web.ReleaseDetail{Release: showRelease(r)}
	content, err := s.DB.Rollout().Content(ctx, id)
	if err != nil {
		return out, translate(err)
	}
	for _, one := range []struct {
		delivery web.Delivery
		envelope []byte
	}{{web.Push, content.Push}, {web.Pull, content.Pull}} {
		if one.envelope == nil {
			continue
		}
		d, err := rollout.Describe(one.envelope)
		if err != nil {
			return out, translate(err)
		}
		out.Manifests = append(out.Manifests, web.Manifest{
			Delivery: one.delivery, Sequence: d.Sequence, Digest: d.Digest.String(), Signatures: d.Signatures,
			Components: d.Components, Dependencies: d.Dependencies, Steps: d.Steps, Texts: d.Texts, Diagnostic: d.Diagnostic,
		})
	}
	return out, s.showExposure(ctx, &out)
}

// showExposure adds what is known against the parts of a release.
func (s *releases) showExposure(ctx context.Context, r *web.ReleaseDetail) error {
	var err error
	if r.Running, err = s.view.Running(ctx, r.ID); err != nil {
		return translate(err)
	}
	b, err := s.DB.Bills().Bill(ctx, r.ID)
	if errors.Is(err, rollout.ErrNoBill) {
		return nil
	}
	if err != nil {
		return translate(err)
	}
	summary, err := s.showBill(ctx, b)
	r.Bill = &summary
	if summary.Findings[string(sbom.Affected)] > 0 {
		r.Exposed = r.Running
	}
	return err
}

func (b *base) release(ctx context.Context, id string) (rollout.Release, error) {
	r, err := b.DB.Rollout().Release(ctx, id)
	if errors.Is(err, rollout.ErrUnknown) {
		return r, notFound("release", id)
	}
	return r, translate(err)
}

// Bounds of what names a release or campaign, in bytes.
const (
	maxName    = 200
	maxVersion = 64
)

// AddRelease implements web.Releases.
func (s *releases) AddRelease(ctx context.Context, by web.Actor, n web.NewRelease) (web.Release, error) {
	for _, t := range []struct {
		field, text string
		most        int
	}{
		{"name", n.Name, maxName},
		{"version", n.Version, maxVersion},
		{"vendor", n.Vendor, maxName},
		{"class", n.Class, maxName},
		{"staging", n.Staging, maxName},
	} {
		if err := checkText(t.field, t.text, t.most); err != nil {
			return web.Release{}, err
		}
	}
	if len(n.Image) > rollout.MaxImage || len(n.Envelope) > suit.MaxEnvelope {
		return web.Release{}, &web.Error{Is: web.ErrTooLarge}
	}
	add := s.author
	switch {
	case len(n.Envelope) > 0:
		add = s.take
	case len(n.Image) == 0:
		return web.Release{}, web.Invalid("image", "an image, or an envelope, is needed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, c, err := add(ctx, by, n)
	if err != nil {
		return web.Release{}, err
	}
	if r.Sequence > math.MaxInt64 {
		return web.Release{}, web.Invalid("sequence", "above 2^63")
	}
	if n.Approve {
		if _, err := s.decide(ctx, by, r, rollout.ApproveRelease, ""); err != nil {
			return web.Release{}, err // before it is added
		}
	}
	if err := s.DB.Rollout().AddRelease(ctx, r, c); err != nil {
		return web.Release{}, translate(err)
	}
	if n.Approve {
		return s.DecideRelease(ctx, by, r.ID, web.ReleaseCommand{Action: web.ReleaseApprove})
	}
	return showRelease(r), nil
}

// take imports an envelope that somebody else signed.
func (s *releases) take(
	ctx context.Context, by web.Actor, n web.NewRelease,
) (rollout.Release, rollout.Content, error) {
	if n.Secret || n.Staging != "" {
		return rollout.Release{}, rollout.Content{}, web.Invalid("secret", "not with an envelope that was made elsewhere")
	}
	keys, err := s.signerKeys(ctx)
	if err != nil {
		return rollout.Release{}, rollout.Content{}, translate(err)
	}
	r, c, err := rollout.ImportRelease(s.NewID(), n.Name, by.String(), n.Envelope, n.Image,
		func(e *suit.Envelope) error { return verifyEnvelope(e, keys) }, s.Now())
	if err != nil {
		return r, c, about("envelope", err)
	}
	if n.Version != "" && r.Version != "" && n.Version != r.Version {
		return r, c, web.Invalid("version", "the manifest says "+printable(r.Version))
	}
	r.Version = cmp.Or(r.Version, n.Version)
	if r.Version == "" {
		return r, c, web.Invalid("version", "the manifest does not say it")
	}
	r.Name = cmp.Or(r.Name, r.Version)
	return r, c, nil
}

// signerKeys returns the keys whose manifests count: ours, those configured and
// those of live SUIT signers in our inventory.
func (s *releases) signerKeys(ctx context.Context) ([]*cose.Verifier, error) {
	keys := append([]crypto.PublicKey{s.SUITSigner.Public()}, s.SUITKeys...)
	records, err := s.CA.List(ctx, est.Query{Kind: est.KindSUITSigner, Status: est.StatusValid})
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		c, err := r.Certificate()
		if err != nil {
			return nil, err
		}
		if r.Live(s.Now()) == nil {
			keys = append(keys, c.PublicKey)
		}
	}
	var out []*cose.Verifier
	for _, k := range keys {
		if v, err := cose.NewVerifier(k); err == nil { // a key of another kind signed no manifest
			out = append(out, v)
		}
	}
	return out, nil
}

// errSigner reports an envelope that none of our SUIT signers signed.
var errSigner = errors.New("not signed by a SUIT signer that is known here")

// verifyEnvelope checks the digest of the manifest and that one authentication
// block verifies with one of keys (SUIT manifest §8.3).
func verifyEnvelope(e *suit.Envelope, keys []*cose.Verifier) error {
	if err := e.VerifyDigest(); err != nil {
		return err
	}
	for _, block := range e.Blocks {
		m, err := cose.ParseSign1(block)
		if err != nil {
			continue // of another kind
		}
		for _, k := range keys {
			if _, err := m.Verify(k, e.RawDigest, nil); err == nil {
				return nil
			}
		}
	}
	return errSigner
}
