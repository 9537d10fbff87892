// Package coordinator runs the trust transfer at one provider, which lets go of
// devices in some transfers and takes over in others.
//
// A transfer and each of its devices is a state table of package transfer. All
// that a Coordinator knows is in its Store: a step stores the new state, the
// effects that it demands, the evidence and the audit rows in one transaction;
// effects are idempotent and performed until they are done. So a crash at any
// point is a restart, and a lost answer a repetition.
//
// Nothing but evidence moves a device past COMMITTED: receipts that it signed,
// the signed status of a right, or a fresh read (transfer protocol §8).
package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// A Domain is what devices of ours are told about us: where they go when they
// come, and where they return to when they cannot stay elsewhere.
type Domain struct {
	ServerURI    string // coaps URI of the LwM2M server
	EnrollURI    string // coaps URI of the enrolment server
	UpdateURI    string // coaps URI of the update server
	RAURI        string // coaps URI of the attestation verifier; "": none
	BootstrapURI string // "": none
	Account      transfer.Account
	Grace        time.Duration // powered, from commit to fallback; zero: transfer.DefaultGrace
	// Anchors are the certificates that our devices trust, and for what.
	Anchors []transfer.OfferCertificate
}

// Options configure a Coordinator. Fields without a default are required.
type Options struct {
	Name     string // of this provider, as partners know it
	Store    Store
	CA       CA
	Devices  Devices
	Sessions Sessions
	Fleet    Fleet
	Peers    Peers
	Audit    audit.Log       // takes refusals
	Signer   transfer.Signer // of messages, offers and infos: the transfer signer
	InfoCOSE bool            // infos are COSE_Sign1; otherwise JWS, on P-256
	Domain   Domain
	PeerURI  string // https URI of our peer API
	TLS      []byte // DER of the certificate of our peer listener
	// NextTLS and NextSigning are the DER of the certificates that will follow; nil: none
	// are announced.
	NextTLS     []byte
	NextSigning []byte
	NewID       func() string // a new ULID

	// StatusSigner signs statuses of rights: the issuing CA. Zero: Signer.
	StatusSigner transfer.Signer
	// Verifier is the DER of the certificate of our attestation verifier; nil: there is
	// none.
	Verifier []byte
	// Attesters knows the attestation keys of devices; nil: none are known.
	// Verdicts is our verifier, for partners that demand it; nil: there is none for
	// them.
	Verdicts  Verifier
	Attesters Attesters
	// Updates brings last updates to devices that leave; nil: transfers have none.
	Updates Updates
	// Manifests returns what a device of ours runs. Nil: nothing is known.
	Manifests func(ctx context.Context, id fleet.ID) ([]transfer.ManifestRef, error)
	// Brought is told which manifests a device runs that comes to us, so that its
	// sequence numbers go on; it may be told so again. Nil: nobody is told.
	Brought func(ctx context.Context, id fleet.ID, manifests []transfer.ManifestRef, actor string) error
	// Member reports whether a device is in a group of ours, for mandates for groups by
	// name. Nil: no device is in any.
	Member func(ctx context.Context, group string, id fleet.ID) (bool, error)
	// People returns how many may approve. With more than one, who drafted a
	// transfer cannot approve it. Nil: one.
	People func(ctx context.Context) (int, error)
	// Changed is told after each change; it must not block. Nil: nobody is told.
	Changed func(Event)

	Objects  objects.IDs   // zero: objects.DefaultIDs
	Log      *slog.Logger  // nil: none
	Workers  int           // devices served at once; 32
	Poll     time.Duration // first interval of repetitions; 2 s, doubling
	MaxPoll  time.Duration // longest interval; 5 min
	MaxTries int           // of a step that a device refuses, before it is left behind; 8
	ArmWait  time.Duration // for devices that are not READY, before the others commit; 15 min
	Timeout  time.Duration // of one operation; 2 min
	// ReviseWait is for how long devices that were updated are collected before the
	// partner is told anew what they run; 1 min, doubling with each time.
	ReviseWait time.Duration
	// OfferLife is for how long an offer of ours may be approved, within the window; 72 h.
	OfferLife time.Duration
}

// An Event says that a transfer, or a device of it, changed.
type Event struct {
	Transfer string
	Short    string   // "" for the transfer itself
	Device   fleet.ID // "" likewise
	Incoming bool     // the device comes to us
	State    string
}

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("coordinator: incomplete options")

// A Coordinator runs the transfers of one provider. It is safe for concurrent
// use.
type Coordinator struct {
	o    Options
	wake chan struct{}
	work openWork
	asks calls
	said said

	mu    sync.Mutex
	busy  map[string]bool                 // keys of transfers and rows that a worker has in hand
	poke  map[string]bool                 // keys of those that something happened to
	calls map[fleet.Factory]transfer.Hash // who asked with a factory certificate, for which key
	seen  map[string]awake                // for what the rows of a transfer were last woken
	// differ are the transfers of which devices run something else than the partner was
	// told, and since when that is known.
	differ map[string]time.Time
	slots  slots

	rights  rightLocks
	submits turns
}

// The defaults of Options.
const (
	defaultWorkers  = 32
	defaultPoll     = 2 * time.Second
	defaultMaxPoll  = 5 * time.Minute
	defaultMaxTries = 8
	defaultArmWait  = 15 * time.Minute
	defaultTimeout  = 2 * time.Minute
	defaultOffer    = 72 * time.Hour
	defaultRevise   = time.Minute
)

// New validates o; Run what it returns. It returns ErrOptions.
func New(o Options) (*Coordinator, error) {
	for _, missing := range []struct {
		is   bool
		what string
	}{
		{o.Name == "", "Name"},
		{o.Store == nil, "Store"},
		{o.CA == nil, "CA"},
		{o.Devices == nil, "Devices"},
		{o.Sessions == nil, "Sessions"},
		{o.Fleet == nil, "Fleet"},
		{o.Peers == nil, "Peers"},
		{o.Audit == nil, "Audit"},
		{o.NewID == nil, "NewID"},
		{o.Signer.Key == nil || len(o.Signer.Certificate) == 0, "Signer"},
		{len(o.Domain.Anchors) == 0, "Domain"},
	} {
		if missing.is {
			return nil, fmt.Errorf("%w: %s", ErrOptions, missing.what)
		}
	}
	o.setDefaults()
	return &Coordinator{
		o: o, wake: make(chan struct{}, 1), busy: map[string]bool{}, poke: map[string]bool{},
		calls: map[fleet.Factory]transfer.Hash{}, seen: map[string]awake{}, differ: map[string]time.Time{},
		slots: slots{taken: map[string]map[string]bool{}}, rights: newRightLocks(),
	}, nil
}

func (o *Options) setDefaults() {
	if o.StatusSigner.Key == nil {
		o.StatusSigner = o.Signer
	}
	if o.Brought == nil {
		o.Brought = func(context.Context, fleet.ID, []transfer.ManifestRef, string) error { return nil }
	}
	if o.Manifests == nil {
		o.Manifests = func(context.Context, fleet.ID) ([]transfer.ManifestRef, error) { return nil, nil }
	}
	if o.People == nil {
		o.People = func(context.Context) (int, error) { return 1, nil }
	}
	if o.Member == nil {
		o.Member = func(context.Context, string, fleet.ID) (bool, error) { return false, nil }
	}
	if o.Changed == nil {
		o.Changed = func(Event) {}
	}
	if o.Objects == (objects.IDs{}) {
		o.Objects = objects.DefaultIDs
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	fallback(&o.Domain.Grace, transfer.DefaultGrace)
	fallback(&o.Workers, defaultWorkers)
	fallback(&o.Poll, defaultPoll)
	fallback(&o.MaxPoll, defaultMaxPoll)
	fallback(&o.MaxTries, defaultMaxTries)
	fallback(&o.ArmWait, defaultArmWait)
	fallback(&o.Timeout, defaultTimeout)
	fallback(&o.OfferLife, defaultOffer)
	fallback(&o.ReviseWait, defaultRevise)
}

func fallback[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// batchTable, outgoing and incoming are the machines that a Coordinator runs.
var (
	batchTable = transfer.BatchTable()
	outgoing   = transfer.OutgoingTable()
	incoming   = transfer.IncomingTable()
)

// tableOf returns the machine of a row.
func tableOf(in bool) transfer.RowTable {
	if in {
		return incoming
	}
	return outgoing
}
