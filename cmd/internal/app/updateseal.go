package app

import (
	"context"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"steward/est/attest"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
)

// An updateQuery is what a device says of itself that asks before it enrols.
type updateQuery struct {
	class    string // UUID
	sequence uint64
	key      *enrolKey // nil: unsaid
}

// An enrolKey is the key that a device enrols: the READY receipt has its hash only, so
// the device names it.
type enrolKey struct {
	public *ecdh.PublicKey
	hash   [sha256.Size]byte // of its SubjectPublicKeyInfo
}

// parseUpdateQuery reads the parameters, each once: the class as a UUID, the sequence
// number in decimal, and perhaps the key, a compressed point of P-256 (SEC 1 §2.3.3) in
// base64url.
func parseUpdateQuery(query []string) (q updateQuery, ok bool) {
	values, err := url.ParseQuery(strings.Join(query, "&"))
	if err != nil || len(values["c"]) != 1 || len(values["s"]) != 1 || len(values)-len(values["k"]) != 2 {
		return q, false
	}
	id, err1 := author.ParseUUID(values["c"][0])
	sequence, err2 := strconv.ParseUint(values["s"][0], 10, 64)
	q.class, q.sequence, ok = id.String(), sequence, err1 == nil && err2 == nil
	if len(values["k"]) == 0 || !ok {
		return q, ok
	}
	q.key, ok = parseEnrolKey(values["k"][0])
	return q, ok
}

// coordinate is the length in bytes of one of a point of P-256.
const coordinate = 32

func parseEnrolKey(text string) (*enrolKey, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
	if x == nil {
		return nil, false
	}
	point := make([]byte, 1+2*coordinate)
	point[0] = 4 // not compressed
	x.FillBytes(point[1 : 1+coordinate])
	y.FillBytes(point[1+coordinate:])
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, false
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	return &enrolKey{public, sha256.Sum256(spki)}, err == nil
}

// sealedFor returns what a device is given of a release with secrets: the same as
// before, so that it can be fetched block by block and gone on with after a restart.
func (a *App) sealedFor(
	ctx context.Context, arrival coordinator.Arrival, release rollout.Release, key enrolKey, actor string,
) (rollout.SealedEnvelope, error) {
	stored, err := a.db.Rollout().SealedEnvelope(ctx, arrival.Device)
	if err == nil && stored.Release == release.ID && stored.Key == key.hash {
		return stored, nil
	}
	if err != nil && !errors.Is(err, rollout.ErrUnknown) {
		return stored, err
	}
	id := sum(a.pki.suit.cert.Raw)
	signer, err := cose.NewSigner(a.pki.suit.key, cose.ES256, id[:keyIDLength])
	if err != nil {
		return stored, fmt.Errorf("suit signer: %w", err)
	}
	content, err := a.db.Rollout().Chunk(ctx, release.ID, rollout.PartKey, 0)
	if err != nil {
		return stored, err
	}
	made := rollout.SealedEnvelope{Device: arrival.Device, Release: release.ID, Key: key.hash}
	uri := rollout.CipherURI(a.CoAPSURI(), release.ID)
	if made.Envelope, made.Manifest, err = release.SealFor(key.public, content, uri, signer); err != nil {
		return stored, err
	}
	return a.db.Rollout().PutSealedEnvelope(ctx, made, actor)
}

// sealedTo returns what a device was given that reports a manifest; zero if that is
// none of a release with secrets.
func (a *App) sealedTo(ctx context.Context, device fleet.ID, manifest suit.Digest) (rollout.SealedEnvelope, error) {
	stored, err := a.db.Rollout().SealedEnvelope(ctx, device)
	if errors.Is(err, rollout.ErrUnknown) || err == nil && !stored.Manifest.Equal(manifest) {
		return rollout.SealedEnvelope{}, nil
	}
	return stored, err
}

// mayFetchSealed says who may fetch a payload that is encrypted for devices that have not
// enrolled: one that waits for its update, and has the key to it.
func (a *App) mayFetchSealed(ctx context.Context, who coap.Identity, release string) (rollout.Grant, error) {
	if who.Role != coap.RoleFactory {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	arrival, may, err := a.transfers.MayUpdate(ctx, fleet.Factory(who.Certificate))
	if err != nil {
		return rollout.Grant{}, err
	}
	if !may {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	stored, err := a.db.Rollout().SealedEnvelope(ctx, arrival.Device)
	switch {
	case errors.Is(err, rollout.ErrUnknown):
		return rollout.Grant{}, rollout.ErrNotGranted
	case err != nil:
		return rollout.Grant{}, err
	case stored.Release != release || stored.Key != arrival.Key:
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	r, err := a.db.Rollout().Release(ctx, release)
	if err == nil && r.State != rollout.ReleaseApproved {
		err = rollout.ErrNotGranted // it was withdrawn since
	}
	return rollout.Grant{Device: arrival.Device}, err
}

// imagesUnder returns the digests that the manifest of an envelope of ours demands.
func imagesUnder(raw []byte) ([]attest.Reference, error) {
	envelope, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		return nil, err
	}
	m, err := envelope.Manifest()
	if err != nil {
		return nil, err
	}
	return imagesIn(m), nil
}
