package cli

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
)

// simCapacity is the size in bytes of each component of the simulated device.
const simCapacity = 64 << 20

// A simDevice is the device that "suit run" and "suit verify" imagine: the one for
// which the manifest is made, unless flags say otherwise.
type simDevice struct {
	vendor, class, device string   // UUIDs or names, empty for the manifest's
	keys                  []string // files of the public keys that it trusts
	decrypt               []string // files of its own keys
	payloads              []string // URI=FILE
	components            []string // beside those of the manifest
	slot, installed       uint64
}

// options returns the processor of the device, with everything switched on, and
// its storage. e is the envelope that it will get.
func (d *simDevice) options(e *suit.Envelope) (process.Options, *simTarget, error) {
	target := &simTarget{
		components: map[suit.ComponentID]process.Component{}, contents: map[suit.ComponentID][]byte{},
		used: d.installed > 0, installed: process.Installed{Sequence: d.installed},
	}
	o := process.Options{
		Target: target, Digests: allDigests(), TrustDomains: true, Management: simManagement(),
	}
	manifest, err := e.Manifest(o.Digests...)
	if err != nil { // the processor refuses it with the stage
		manifest = &suit.Manifest{}
	}
	ids := slices.Clone(manifest.Components)
	for _, name := range d.components {
		ids = append(ids, suit.ComponentPath(name))
	}
	for _, id := range ids {
		target.components[id] = process.Component{Slot: d.slot, Capacity: simCapacity}
	}
	if o.Identity, err = d.identity(manifest); err != nil {
		return o, nil, err
	}
	if o.Fetch, err = d.fetcher(); err != nil {
		return o, nil, err
	}
	for _, file := range d.keys {
		anchor, err := anchorOf(file)
		if err != nil {
			return o, nil, err
		}
		o.Anchors = append(o.Anchors, anchor)
	}
	for _, file := range d.decrypt {
		key, err := decryptor(file)
		if err != nil {
			return o, nil, err
		}
		o.Keys = append(o.Keys, key)
	}
	return o, target, nil
}

// anchorOf reads a public key, or the secret of a group that makes codes.
func anchorOf(file string) (a process.Anchor, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return a, misusedFile(err)
	}
	if block, _ := pem.Decode(text); block == nil {
		a.Wrapping, err = group(file)
		return a, err
	}
	a.Key, err = publicKey(file)
	return a, err
}

// processor returns the processor of o.
func processor(o process.Options) (*process.Processor, error) {
	p, err := process.New(o)
	if err != nil {
		return nil, misusedFile(err)
	}
	return p, nil
}

// identity is what the flags say, and what the manifest asks for where they say
// nothing.
func (d *simDevice) identity(m *suit.Manifest) (process.Identity, error) {
	var id process.Identity
	for i := range m.Components {
		parameters := m.Parameters(i)
		for key, list := range map[suit.Key]*[][]byte{
			suit.ParameterVendor: &id.Vendors, suit.ParameterClass: &id.Classes,
		} {
			if p, ok := parameters[key]; ok {
				*list = append(*list, p.Bytes())
			}
		}
		if p, ok := parameters[suit.ParameterDevice]; ok {
			id.Device = p.Bytes()
		}
	}
	var vendor author.UUID
	if d.vendor != "" {
		vendor = uuidOr(d.vendor, author.VendorID)
		id.Vendors = [][]byte{vendor[:]}
	}
	if d.class != "" {
		class := uuidOr(d.class, func(name string) author.UUID { return author.ClassID(vendor, name) })
		id.Classes = [][]byte{class[:]}
	}
	if d.device != "" {
		device, err := author.ParseUUID(d.device)
		if err != nil {
			return id, fmt.Errorf("%w: --device: %w", errMisused, err)
		}
		id.Device = device[:]
	}
	return id, nil
}

// uuidOr reads a UUID, or makes one of a name.
func uuidOr(text string, named func(string) author.UUID) author.UUID {
	if id, err := author.ParseUUID(text); err == nil {
		return id
	}
	return named(text)
}

// fetcher reads the payloads from files.
func (d *simDevice) fetcher() (simFetcher, error) {
	f := simFetcher{}
	for _, payload := range d.payloads {
		i := strings.LastIndexByte(payload, '=')
		if i <= 0 {
			return nil, fmt.Errorf("%w: --payload %q, want URI=FILE", errMisused, payload)
		}
		content, err := os.ReadFile(payload[i+1:])
		if err != nil {
			return nil, misusedFile(err)
		}
		f[payload[:i]] = content
	}
	return f, nil
}

// A simFetcher has the payloads by URI.
type simFetcher map[string][]byte

// Fetch implements process.Fetcher.
func (f simFetcher) Fetch(_ context.Context, uri string, offset uint64) (io.ReadCloser, error) {
	payload, ok := f[uri]
	if !ok {
		return nil, fmt.Errorf("%w: no --payload for %q", process.ErrURI, uri)
	}
	return io.NopCloser(bytes.NewReader(payload[min(offset, uint64(len(payload))):])), nil
}

// FetchWith implements process.ArgumentFetcher: files need no arguments.
func (f simFetcher) FetchWith(ctx context.Context, uri string, offset uint64, _ []byte) (io.ReadCloser, error) {
	return f.Fetch(ctx, uri, offset)
}

// simManagement is a device that is charged, whose user agrees to everything, and
// for which all events come at once. Its components have no version.
func simManagement() *process.Management {
	return &process.Management{
		Now:       time.Now,
		Battery:   func(context.Context) (uint64, error) { return math.MaxInt64, nil },
		Authorize: func(context.Context, int64) error { return nil },
		Version: func(_ context.Context, id suit.ComponentID) (suit.Version, error) {
			return nil, fmt.Errorf("%w: %v has no version", process.ErrAbsent, id)
		},
		Wait: func(context.Context, suit.Wait) error { return nil },
		Describe: func(context.Context, process.Staging, suit.ComponentID, suit.Metadata) error {
			return nil
		},
	}
}

// anyKey is a key for a device that only looks at manifests with encryption.
func anyKey() (*cose.RecipientKey, error) { return cose.NewSharedKey(make([]byte, groupKeySize), nil) }

// zeroUUID is the name of nothing.
func zeroUUID(string) author.UUID { return author.UUID{} }
