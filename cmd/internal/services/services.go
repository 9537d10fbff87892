// Package services adapts the domain packages and the database to the services
// that the dashboard and the REST API show and command: every interface of
// package web, once. Only errors of package web leave it.
package services

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/cmd/internal/trace"
	"steward/est"
	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/est/enrol"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/objects/registry"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/web"
	"steward/web/hook"
)

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("services: incomplete options")

// Options are the parts of a provider. All without a default are required.
type Options struct {
	DB       *sqlite.DB
	Server   *server.Server
	CA       *est.CA
	Rollout  *rollout.Runner
	Registry *registry.Registry
	// Queue performs operations on devices, by a Performer.
	Queue *queue.Queue
	// References returns what a device may hold now. Nil: there is no attestation.
	References func(ctx context.Context, a attest.Attester) ([]attest.Reference, error)
	// Attest has a device that is registered prove what it runs. It returns
	// attest.ErrUnknown, ErrDeviceRefused or ErrDeviceSilent.
	Attest func(ctx context.Context, id fleet.ID, factory fleet.Factory) error
	// Retire has a device that is registered erase its data and sign that it has: a
	// transfer.RetirementRecord. It returns ErrDeviceRefused or ErrDeviceSilent. Nil: no
	// device signs.
	Retire func(ctx context.Context, id fleet.ID, factory fleet.Factory) ([]byte, error)
	// Rates says how much happened lately. Nil: it is not told.
	Rates *Rates
	// Rounds has devices attest at intervals. Nil: no device can be asked, and rules
	// are refused.
	Rounds *rounds.Runner
	// Webhooks are told by HTTP what happens. Without a Store they are not built.
	Webhooks hook.Hooks
	// Traces records messages of devices. Nil: traces are not built.
	Traces *trace.Recorder
	// Enrolment leads devices through renewal. Nil: Enrolments are not built.
	Enrolment *enrol.Runner
	// Coordinator runs hand-overs. Nil: Transfers and Partners are not built.
	Coordinator Coordinator
	// Keys keeps the pre-shared keys of devices.
	Keys fleet.Credentials
	// KeyChanged is called after a device's key was replaced or removed, to end
	// sessions by the old one. Nil: nobody is told.
	KeyChanged func(device fleet.ID, use fleet.CredentialUse)

	// SUITSigner signs the manifests of images that are uploaded.
	SUITSigner *cose.Signer
	// ReportSigner signs reports of campaigns.
	ReportSigner *cose.Signer
	// SUITKeys are the keys of others whose envelopes may be imported, beside those
	// of SUIT signers in our inventory. Nil: none.
	SUITKeys []crypto.PublicKey
	// UpdateURI returns where devices fetch the payload of a release, as
	// rollout.PayloadURI writes it.
	UpdateURI func(release string) string

	// Naming says which endpoints factory certificates are of.
	Naming fleet.Naming
	// Approvers says how many people could approve a release at this moment: with more
	// than one, nobody approves their own. Nil counts those who are signed in.
	Approvers func(ctx context.Context) (int, error)

	// EnrollURI is where devices enrol, told for each factory certificate that is
	// registered.
	EnrollURI string

	Name  string           // this provider's name
	NewID func() string    // makes ULIDs
	Now   func() time.Time // the clock
	// Events is told what commands changed. Nil: nobody is.
	Events *Hub
	// Dropped is called after a certificate was revoked here with its hash and the
	// device that it belongs to ("" for none), to end sessions that use it. Nil:
	// nobody is told.
	Dropped func(certificate est.Hash, device fleet.ID)
}

// New returns all services over the parts of one provider. It returns
// ErrOptions if one is missing.
func New(o Options) (web.Services, error) {
	if o.DB == nil || o.Server == nil || o.CA == nil || o.Rollout == nil || o.Registry == nil ||
		o.Queue == nil {
		return web.Services{}, fmt.Errorf("%w: DB, Server, CA, Rollout, Registry and Queue", ErrOptions)
	}
	if o.SUITSigner == nil || o.ReportSigner == nil || o.UpdateURI == nil || o.NewID == nil || o.Now == nil {
		return web.Services{}, fmt.Errorf("%w: SUITSigner, ReportSigner, UpdateURI, NewID and Now", ErrOptions)
	}
	if o.Events == nil {
		o.Events = NewHub(&web.Stream{})
	}
	if o.KeyChanged == nil {
		o.KeyChanged = func(fleet.ID, fleet.CredentialUse) {}
	}
	if o.Dropped == nil {
		o.Dropped = func(est.Hash, fleet.ID) {}
	}
	b := &base{Options: o, view: o.DB.View(), findings: &sync.Mutex{}, defining: &sync.Mutex{}}
	out := web.Services{
		Overview:        &overviews{base: b},
		Activity:        &activity{base: b},
		Devices:         &devices{base: b},
		Groups:          &groups{base: b},
		Views:           &views{base: b},
		Operations:      &operations{base: b},
		Observations:    &observations{base: b},
		Series:          &series{base: b},
		Definitions:     &definitions{base: b},
		Factories:       &factories{base: b},
		Certificates:    &certificates{base: b},
		Passwords:       &passwords{base: b},
		Upstream:        &upstreamRequests{base: b},
		Requests:        &certificateRequests{base: b},
		Releases:        &releases{base: b},
		Bills:           &bills{base: b},
		Vulnerabilities: &weaknesses{base: b},
		Campaigns:       &campaigns{base: b},
	}
	if o.Webhooks.Store != nil {
		out.Webhooks = &webhooks{base: b}
	}
	if o.Traces != nil {
		out.Traces = &traces{base: b}
	}
	if o.Keys != nil {
		out.Bootstraps = &bootstraps{base: b}
	}
	if o.References != nil {
		out.Attestations, out.Rounds = &attestations{base: b}, &attestationRounds{base: b}
	}
	if o.Enrolment != nil {
		out.Enrolments = &enrolments{base: b}
	}
	if o.Coordinator != nil {
		moves := &transfers{base: b}
		out.Transfers, out.Records, out.Mandates, out.Partners = moves, moves, moves, &partners{base: b}
	}
	return out, nil
}

// base is what the services share.
type base struct {
	Options

	view     sqlite.View
	findings *sync.Mutex // one at a time compares bills with lists
	defining *sync.Mutex // one at a time changes the registry
}

// endpointPrefix marks an id that is an endpoint name.
const endpointPrefix = "ep:"

// find returns the device that people mean by id: a local one, or "ep:" and an
// endpoint.
func (b *base) find(ctx context.Context, id string) (sqlite.DeviceLine, error) {
	var line sqlite.DeviceLine
	var err error
	if ep, ok := strings.CutPrefix(id, endpointPrefix); ok {
		line, err = b.view.DeviceByEndpoint(ctx, lwm2m.Endpoint(ep))
	} else {
		line, err = b.view.Device(ctx, fleet.ID(id))
	}
	if errors.Is(err, fleet.ErrUnknown) {
		return line, notFound("device", id)
	}
	return line, translate(err)
}
