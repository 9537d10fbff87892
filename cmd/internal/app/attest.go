package app

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"steward/cmd/internal/services"
	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit"
	"steward/suit/rollout"
	"steward/transfer"
)

// buildAttestation makes the verifier of devices.
func (a *App) buildAttestation() (err error) {
	a.verifier, err = attest.New(attest.Options{
		Store: a.db.Attestations(), Issuer: a.cfg.Name, Now: a.now, References: a.references,
		Signer: attest.Signer{Key: a.pki.attest.key, Certificate: a.pki.attest.cert.Raw},
		Case: func(ctx context.Context, device attest.Hash) (attest.Case, error) {
			return a.transfers.AttestationCase(ctx, fleet.Factory(device))
		},
		Judged: a.judged, Elsewhere: elsewhere{a},
		Refuse: func(_ context.Context, row audit.Row) { a.auditor.add(row) },
	})
	if err != nil {
		return err
	}
	a.rounds, err = rounds.New(rounds.Options{
		Store: a.db.Rounds(), Log: a.log, Retry: a.cfg.Retry, Told: a.attestationTold,
		Listens: func(id fleet.ID) bool { p := a.server.Presence(id); return p.Registered && !p.Asleep },
		Ask: func(ctx context.Context, id fleet.ID) error {
			d, err := a.devices.Device(ctx, id)
			if err == nil {
				err = a.attestNow(ctx, id, d.Factory)
			}
			if errors.Is(err, services.ErrDeviceSilent) {
				err = fmt.Errorf("%w: %w", rounds.ErrSilent, err)
			}
			return err
		},
		Find: func(ctx context.Context, f fleet.Factory) (fleet.ID, error) {
			d, err := a.devices.ByFactory(ctx, f)
			return d.ID, err
		},
	})
	return err
}

// elsewhere implements attest.Elsewhere; the coordinator is built after the verifier.
type elsewhere struct{ app *App }

// Challenge implements attest.Elsewhere.
func (e elsewhere) Challenge(ctx context.Context, device attest.Hash, k attest.Case) ([]byte, time.Time, error) {
	return e.app.transfers.Challenge(ctx, device, k)
}

// Appraise implements attest.Elsewhere.
func (e elsewhere) Appraise(ctx context.Context, device attest.Hash, k attest.Case, evidence []byte) ([]byte, error) {
	return e.app.transfers.Appraise(ctx, device, k, evidence)
}

// judged tells of a verdict those who wait for it.
func (a *App) judged(ctx context.Context, r attest.Result) error {
	if err := a.transfers.Attested(ctx, r); err != nil {
		return err
	}
	return a.rounds.Judged(ctx, r)
}

// attestationTold tells people of a device that turned bad, or is good again.
func (a *App) attestationTold(r rounds.Round, alert bool) {
	level := slog.LevelInfo
	if alert {
		level = slog.LevelWarn
	}
	a.log.LogAttrs(context.Background(), level, "attestation", slog.String("device", string(r.Device)),
		slog.String("state", string(r.State)), slog.String("reason", cmp.Or(r.Why, r.Reason)))
	a.hub.Attestation(r, alert)
}

// roundsRunning returns what asks devices at intervals, nil where nothing can.
func (a *App) roundsRunning() *rounds.Runner {
	if !a.cfg.HandOver {
		return nil
	}
	return a.rounds
}

// attestation is the verifier's endpoint.
func (a *App) attestation() coap.Handler {
	s := &attest.Endpoint{Verifier: a.verifier, Device: a.attester, Log: a.log}
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if r.Peer.Identity().Role == coap.RoleFactory {
			a.factory.note(r.Peer)
		}
		return s.ServeCoAP(ctx, r)
	})
}

// attester returns the factory certificate's hash of who asks.
func (a *App) attester(ctx context.Context, who coap.Identity) (attest.Hash, bool, error) {
	if who.Role == coap.RoleFactory {
		return who.Certificate, true, nil
	}
	d, err := a.devices.ByEndpoint(ctx, lwm2m.Endpoint(who.Name))
	if errors.Is(err, fleet.ErrUnknown) {
		return attest.Hash{}, false, nil
	}
	return attest.Hash(d.Factory), d.Factory != fleet.Factory{}, err
}

// references are what the components of a device may hold: what the last release of
// ours put there and, of components that it does not name, what the factory did or
// the former provider told.
func (a *App) references(ctx context.Context, known attest.Attester) ([]attest.Reference, error) {
	d, err := a.devices.ByFactory(ctx, fleet.Factory(known.Device))
	if errors.Is(err, fleet.ErrUnknown) {
		return known.References, nil
	}
	if err != nil {
		return nil, err
	}
	installed, err := a.db.Rollout().Installed(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if len(installed) == 0 {
		return known.References, nil
	}
	newest := slices.MaxFunc(installed, func(x, y rollout.Installed) int { return cmp.Compare(x.Sequence, y.Sequence) })
	if newest.Release == "" { // brought along, or installed before it enrolled
		sealed, err := a.sealedTo(ctx, d.ID, newest.Digest)
		if err != nil {
			return nil, err
		}
		if sealed.Envelope != nil {
			ours, err := imagesUnder(sealed.Envelope)
			return merged(ours, known.References), err
		}
		r, ok, err := a.releaseOf(ctx, d.ID, newest.Digest)
		if err != nil || !ok {
			return known.References, err
		}
		newest.Release = r.ID
	}
	ours, err := a.imagesOf(ctx, newest)
	if err != nil {
		return nil, err
	}
	return merged(ours, known.References), nil
}

// merged returns ours and, of others, those of components that ours do not name.
func merged(ours, others []attest.Reference) []attest.Reference {
	named := map[string]bool{}
	for _, r := range ours {
		named[string(r.Component)] = true
	}
	for _, r := range others {
		if r.Component != nil && !named[string(r.Component)] {
			ours = append(ours, r)
		}
	}
	return ours
}

// imagesOf returns the digests that the manifest of a release demands of its
// components.
func (a *App) imagesOf(ctx context.Context, i rollout.Installed) ([]attest.Reference, error) {
	content, err := a.db.Rollout().Content(ctx, i.Release)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", i.Release, err)
	}
	for _, raw := range [][]byte{content.Push, content.Pull} {
		if raw == nil {
			continue
		}
		envelope, err := suit.Decode(raw, suit.Limits{})
		if err != nil || !envelope.Digest.Equal(i.Digest) {
			continue
		}
		m, err := envelope.Manifest()
		if err != nil {
			return nil, fmt.Errorf("release %s: %w", i.Release, err)
		}
		return imagesIn(m), nil
	}
	return nil, fmt.Errorf("release %s: %w", i.Release, errNoManifest)
}

// errNoManifest reports a release without the manifest that a device is said to run.
var errNoManifest = errors.New("the release has no such manifest")

func imagesIn(m *suit.Manifest) (out []attest.Reference) {
	for i, id := range m.Components {
		p, ok := m.Parameters(i)[suit.ParameterImageDigest]
		if !ok {
			continue
		}
		d := p.Digest()
		out = append(out, attest.Reference{
			Component: []byte(id), Digest: attest.Digest{Algorithm: int64(d.Algorithm), Value: d.Value},
		})
	}
	return out
}

// attestNow has a registered device prove what it runs: it answers the nonce that is
// written to its object Enrolment with evidence.
func (a *App) attestNow(ctx context.Context, id fleet.ID, factory fleet.Factory) error {
	if a.cfg.IDs.Enrolment == 0 {
		return fmt.Errorf("%w: the hand-over, and its objects, are off", services.ErrDeviceRefused)
	}
	nonce, _, err := a.verifier.Challenge(ctx, attest.Hash(factory))
	if err != nil {
		return err
	}
	devices := deviceCalls{a.server, services.ErrDeviceRefused, services.ErrDeviceSilent, services.ErrDeviceSilent}
	base := lwm2m.NewPath(a.cfg.IDs.Enrolment, 0)
	if err := devices.Write(ctx, id, base.Child(objects.EnrolmentNonce), lwm2m.Opaque(nonce)); err != nil {
		return err
	}
	path := base.Child(objects.EnrolmentEvidence)
	entries, err := devices.Read(ctx, id, path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Path != path || e.Value.Kind() != lwm2m.KindOpaque {
			continue
		}
		_, err := a.verifier.Appraise(ctx, attest.Hash(factory), e.Value.Bytes())
		if err != nil && !errors.Is(err, attest.ErrUnknown) {
			err = fmt.Errorf("%w: %w", services.ErrDeviceRefused, err)
		}
		return err
	}
	return fmt.Errorf("%w: there is no evidence", services.ErrDeviceRefused)
}

// attesters implements coordinator.Attesters.
type attesters struct{ app *App }

// Describe implements coordinator.Attesters.
func (s attesters) Describe(ctx context.Context, _ fleet.ID, factory fleet.Factory) (*transfer.RAInfo, error) {
	known, err := s.app.db.Attestations().Attester(ctx, attest.Hash(factory))
	if errors.Is(err, attest.ErrUnknown) {
		return nil, nil //nolint:nilnil // the interface says so
	}
	if err != nil {
		return nil, err
	}
	references, err := s.app.references(ctx, known)
	if err != nil {
		return nil, err
	}
	info := &transfer.RAInfo{Verifier: s.app.raURI()}
	if info.Key, err = attest.EncodeKey(known.Key); err != nil {
		return nil, err
	}
	for _, r := range references {
		info.References = append(info.References, transfer.CertHash{Alg: r.Digest.Algorithm, Value: r.Digest.Value})
	}
	if len(info.References) == 0 { // without, no device is ever affirmed
		return nil, nil //nolint:nilnil // likewise
	}
	return info, nil
}

// Learn implements coordinator.Attesters. A key that is known no partner replaces:
// else it could name one of its own, and an emulator would attest for the device.
func (s attesters) Learn(ctx context.Context, factory fleet.Factory, info transfer.RAInfo, actor string) error {
	key, err := attest.DecodeKey(info.Key)
	if err != nil {
		return err
	}
	told := attest.Attester{Device: attest.Hash(factory), Key: key, At: s.app.now()}
	for _, r := range info.References {
		told.References = append(told.References, attest.Reference{
			Digest: attest.Digest{Algorithm: r.Alg, Value: r.Value},
		})
	}
	store := s.app.db.Attestations()
	before, err := store.Attester(ctx, told.Device)
	switch {
	case err == nil && before.Same(&told):
		return nil
	case err == nil && !before.Key.Equal(key):
		s.app.auditor.add(audit.Row{
			Actor: actor, Action: "attestation.refuse", Subject: hex.EncodeToString(factory[:16]),
			Reason: "the partner tells of another attestation key than the one that is known: that one stays",
		})
		return nil
	case err != nil && !errors.Is(err, attest.ErrUnknown):
		return err
	}
	return store.PutAttester(ctx, told, audit.Row{
		Actor: actor, Action: "attestation.key", Subject: hex.EncodeToString(factory[:16]),
		Reason: "told with the device's information", After: fmt.Sprintf("%d reference values", len(told.References)),
	})
}

// raURI is where devices attest.
func (a *App) raURI() string { return a.CoAPSURI() + "/" + attest.Root }
