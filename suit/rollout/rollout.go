// Package rollout brings SUIT updates to devices: releases, campaigns, one job
// a device led through LwM2M Firmware Update (object 5), and the endpoint from
// which devices fetch envelopes and payloads.
//
// A job is a state table. What a device says of itself decides: before each
// step its state and result are read again, for transitions may be missed.
package rollout

import (
	"context"
	"errors"
	"time"

	"steward/suit"
)

// Errors of releases.
var (
	// ErrUnknown reports a release, campaign or job that does not exist.
	ErrUnknown = errors.New("unknown release, campaign or job")
	// ErrRelease reports an image or envelope that cannot be released.
	ErrRelease = errors.New("unusable release")
)

// A Release is an update that devices of one class can be given.
type Release struct {
	ID       string // ULID
	Name     string // for people
	Version  string // as the device reports it after the update, /3/0/3
	Sequence uint64
	Vendor   string // UUID
	Class    string // UUID
	Digest   suit.Digest
	Manifest [2]suit.Digest // of the manifests of Push and Pull, in this order
	Size     int            // of the image, bytes
	Signer   string         // hex key id of the first authentication block
	Images   []string       // components, for people
	// Apart says that the manifest of Pull names our own endpoint for its payload.
	Apart bool `json:",omitempty"`
	// Sealed says that the image holds secrets: before a device has enrolled it is given
	// encrypted to the key of that device only. Nil: it holds none.
	Sealed *Sealed `json:",omitempty"`

	CreatedAt time.Time
	CreatedBy string

	State     ReleaseState
	Decisions []Decision // oldest first; the state follows from the last
}

// Content is the part of a release that is large.
type Content struct {
	Push  []byte // envelope with integrated payload; nil: cannot be pushed
	Pull  []byte // envelope whose payload is fetched; nil: cannot be pulled
	Image []byte // the payload that Pull's manifest names; nil with an integrated one
	Text  []byte // the texts that were severed from both, encoded; nil: they are inside, or there are none
	// Cipher is the image, encrypted for devices that have not enrolled, and Key what
	// opens it (cose.ContentKey). Nil: it holds no secrets. Releases.Content leaves them out.
	Cipher, Key []byte
}

// Installed is a manifest that a device is known to run.
type Installed struct {
	Digest   suit.Digest
	Sequence uint64
	Release  string
}

// Releases keeps releases.
type Releases interface {
	// AddRelease stores a new release.
	AddRelease(ctx context.Context, r Release, c Content) error
	// Release returns ErrUnknown if there is none.
	Release(ctx context.Context, id string) (Release, error)
	// Content returns ErrUnknown if there is none.
	Content(ctx context.Context, release string) (Content, error)
	// Newest returns the highest sequence number released for a class, 0 if none.
	Newest(ctx context.Context, class string) (uint64, error)
	// ListReleases returns up to limit releases with ids below before, newest
	// first; an empty before starts at the newest.
	ListReleases(ctx context.Context, before string, limit int) ([]Release, error)
	// DecideRelease stores a decision about a release whose state is still from. It
	// returns ErrUnknown, or ErrDecided if another was faster.
	DecideRelease(ctx context.Context, id string, from ReleaseState, d Decision) error
}

// ManifestOf returns the digest of the manifest that devices get by a delivery.
func (r Release) ManifestOf(d Delivery) suit.Digest {
	if d == Pull {
		return r.Manifest[1]
	}
	return r.Manifest[0]
}
