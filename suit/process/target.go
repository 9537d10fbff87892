package process

import (
	"context"
	"errors"
	"io"

	"steward/suit"
)

// The errors that targets and fetchers report, so that the reason reaches the
// operator. Others are taken as general failures.
var (
	// ErrNoComponent reports a component that the device does not have.
	ErrNoComponent = errors.New("no such component")
	// ErrAbsent reports a component without content.
	ErrAbsent = errors.New("component is empty")
	// ErrNoSpace reports content that does not fit.
	ErrNoSpace = errors.New("not enough storage")
	// ErrConnection reports a transfer that broke off; it may be resumed.
	ErrConnection = errors.New("connection lost")
	// ErrURI reports a URI that cannot be parsed or resolved, or that the source
	// does not know.
	ErrURI = errors.New("invalid URI")
	// ErrScheme reports a URI scheme that the device does not implement.
	ErrScheme = errors.New("unsupported protocol")
)

// A Target is the storage of a device. What an update writes goes to a staging
// area that survives power loss, and becomes the content of the components at
// once, together with the sequence number, by Staging.Commit: a device cut off
// at any instant has either the old state or the new one, whole.
type Target interface {
	// Installed returns what was committed last; ok is false on a new device.
	Installed(ctx context.Context) (in Installed, ok bool, err error)
	// Component describes a component, or returns ErrNoComponent.
	Component(ctx context.Context, id suit.ComponentID) (Component, error)
	// Begin opens the staging area of the update with that manifest digest and
	// drops that of any other. Images left there by an interrupted run of the
	// same update are kept for Create, but reads see the committed content until
	// they are created again: a resumed update runs all its commands anew.
	Begin(ctx context.Context, manifest suit.Digest) (Staging, error)
	// Boot opens an area for one invocation: reads see the committed content,
	// writes (loading to RAM) are seen by this area only and need not last.
	Boot(ctx context.Context, manifest suit.Digest) (Staging, error)
	// Invoke starts the content of a component, as area sees it (§8.4.10.13). It
	// may not return on a real device.
	Invoke(ctx context.Context, area Staging, id suit.ComponentID, args []byte) error
}

// A Component is what a target says of a component.
type Component struct {
	Slot     uint64 // for condition-component-slot
	Capacity uint64 // bytes
}

// Installed is what a device remembers of the update it runs.
type Installed struct {
	Sequence uint64
	Manifest suit.Digest
	Envelope []byte // as received, for secure boot
}

// A Staging is the area in which one update is prepared. Its reads see its own
// writes, and the committed content of components that it has not written.
type Staging interface {
	// Read opens the content of a component. It returns ErrNoComponent or
	// ErrAbsent.
	Read(ctx context.Context, id suit.ComponentID) (io.ReadCloser, error)
	// Create begins, or resumes, writing a component. If a write with the same
	// image was begun before, offset is the number of bytes kept of it;
	// otherwise, and always for an image without digest, it is zero. done says
	// that the image had been completed: reads see it now, and the writer is
	// nil. Create returns ErrNoComponent, or ErrNoSpace if image.Size is beyond
	// the capacity.
	Create(ctx context.Context, id suit.ComponentID, image Image) (w Writer, offset uint64, done bool, err error)
	// Swap exchanges the contents of two components. It returns ErrNoComponent
	// or ErrAbsent.
	Swap(ctx context.Context, a, b suit.ComponentID) error
	// Commit makes all that was written current, with in, in one atomic step.
	Commit(ctx context.Context, in Installed) error
	// Discard drops all that was written.
	Discard(ctx context.Context) error
}

// A Remover is a Staging that can empty components, which directive-unlink
// needs.
type Remover interface {
	// Remove empties a component; reads see ErrAbsent from then on. It is no
	// error if the component is empty. It returns ErrNoComponent.
	Remove(ctx context.Context, id suit.ComponentID) error
}

// An Image identifies what is written, so that an interrupted write of the same
// thing can be resumed.
type Image struct {
	Source string // URI, or what stands for one
	Digest string // of the image as the manifest names it; empty if it does not
	Size   uint64 // bytes; zero if the manifest does not say
}

// A Writer takes the bytes of one image in order. Exactly one of Complete and
// Close must be called.
type Writer interface {
	// Write appends to the image. It returns ErrNoSpace beyond the capacity.
	io.Writer
	// Complete ends the image, which reads see from then on.
	Complete() error
	// Close keeps the bytes so far for a later Create with the same image.
	Close() error
}

// A Fetcher gets payloads by URI.
type Fetcher interface {
	// Fetch opens the payload from offset on. It returns ErrConnection, ErrURI
	// or ErrScheme, as may the reader's Read; others are general failures.
	Fetch(ctx context.Context, uri string, offset uint64) (io.ReadCloser, error)
}

// An ArgumentFetcher is a Fetcher that understands parameter fetch-arguments:
// what the protocol of the URI needs beside it. A Fetcher that is none refuses
// manifests which set the parameter.
type ArgumentFetcher interface {
	Fetcher
	// FetchWith is Fetch with arguments, whose form is the protocol's own. It
	// returns ErrURI for those that it cannot heed.
	FetchWith(ctx context.Context, uri string, offset uint64, arguments []byte) (io.ReadCloser, error)
}
