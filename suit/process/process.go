// Package process is a SUIT manifest processor (draft-ietf-suit-manifest-37 §6):
// it authenticates an envelope, checks that the manifest is for this device and
// newer than what runs, and carries out its commands on a Target, which keeps
// the change invisible until it is complete. The commands are a table. Options
// switch on trust domains, firmware encryption and update management; a manifest
// that needs what is off is refused.
//
// Section numbers refer to that draft unless stated otherwise.
package process

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"steward/suit"
	"steward/suit/cose"
)

// An Anchor is a key whose holder may update the device.
type Anchor struct {
	// Key verifies the signatures: P-256, P-384 or Ed25519.
	Key crypto.PublicKey
	// Secret verifies authentication codes, in place of Key: whoever has it can
	// make them too.
	Secret *cose.MACKey
	// Wrapping opens codes with recipients (COSE_Mac), in place of Key: a secret
	// shared with the device. A key pair of the device will not do, for anybody
	// could make such a code.
	Wrapping *cose.RecipientKey
	// KID is the key identifier that signers send; a hint only. May be empty.
	KID []byte
	// Algorithms restricts the signature algorithms; none named means all that
	// the key serves.
	Algorithms []cose.Algorithm
	// Components are prefixes of the components that the holder may change (§9);
	// none named means all.
	Components []suit.ComponentID
	// Commands and Parameters are those that manifests of the holder may have
	// (§9); nil means all.
	Commands   []suit.Code
	Parameters []suit.Key
}

// An Identity is what the device is, for the identity conditions (§8.4.8.2). A
// device may have several vendors and classes.
type Identity struct {
	Vendors [][]byte // UUIDs of 16 bytes, or encoded PENs with tag 112
	Classes [][]byte // UUIDs
	Device  []byte   // UUID; empty if the device has none
}

// A Policy says how many authentication blocks must verify (§8.3).
type Policy int

// The policies.
const (
	AnySigner  Policy = iota // one block of a trusted key suffices
	AllSigners               // every block must verify with a trusted key
)

// A Custom is a command of the vendor's own, with a number below -256, and the
// custom parameters that come with it. It is a directive: if it fails, so does
// the update.
type Custom struct {
	Code       suit.Code
	Parameters []suit.Key
	// Run carries the command out on one component. argument is encoded CBOR.
	Run func(ctx context.Context, component suit.ComponentID, argument []byte) error
}

// A Step tells of one command carried out, for traces and reports.
type Step struct {
	// Path leads from the root manifest to the dependency whose command it is, by
	// component indices; empty for the root.
	Path      []int
	Section   suit.Section
	Offset    int // bytes from the start of the innermost sequence
	Command   suit.Code
	Component int
}

// String returns for example "install@38 condition-image-match [0]", preceded by
// the path.
func (s Step) String() string {
	var path strings.Builder
	for _, n := range s.Path {
		fmt.Fprintf(&path, "%d ", n)
	}
	return fmt.Sprintf("%s%s@%d %v [%d]", path.String(), s.Section, s.Offset, s.Command, s.Component)
}

// Interop accepts what published examples do against the text. The zero value is
// strict.
type Interop struct {
	// PrefixIdentifiers accepts dependencies that are not among the components:
	// their prefix names the component that holds them.
	PrefixIdentifiers bool
	// ImpliedIntegrity has directive-process-dependency verify the dependency
	// itself where condition-dependency-integrity did not come first.
	ImpliedIntegrity bool
}

// Options make a Processor. Anchors, Target and Fetch are required.
type Options struct {
	Anchors  []Anchor
	Identity Identity
	Policy   Policy
	// Target holds the components of the device.
	Target Target
	// Fetch gets payloads that are not integrated in the envelope; nil refuses
	// them with ErrScheme.
	Fetch Fetcher
	// Limits bound the envelope; see suit.Limits.
	Limits suit.Limits
	// MaxComponents is the number of components of the largest manifest accepted;
	// zero means suit.MaxComponents.
	MaxComponents int
	// Digests are the digest algorithms accepted; none named means SHA-256.
	Digests []suit.DigestAlgorithm
	// TrustDomains carries out dependencies; false refuses manifests with them
	// (draft-ietf-suit-trust-domains).
	TrustDomains bool
	// Keys decrypt what is encrypted to this device; none named refuses manifests
	// with encryption (draft-ietf-suit-firmware-encryption).
	Keys []*cose.RecipientKey
	// Management answers what update management asks; nil refuses manifests that
	// do (draft-ietf-suit-update-management).
	Management *Management
	// Interop says where to be less strict than the text.
	Interop Interop
	// Reporting says what reports record.
	Reporting Reporting
	// Custom are the vendor's own commands.
	Custom []Custom
	// Trace is told of every command before it runs; nil means nobody is.
	Trace func(Step)
}

// ErrOptions reports Options without a required part, or an unusable one.
var ErrOptions = errors.New("unusable processor options")

// A Processor carries out manifests on one target. It has no state of its own,
// so it may be made anew at any time; calls on one target must not overlap.
type Processor struct {
	o          Options
	anchors    []anchor
	commands   map[suit.Code]handler
	parameters map[suit.Key]bool
}

// anchor is an Anchor with its Verifier, nil for secrets.
type anchor struct {
	Anchor

	verifier *cose.Verifier
}

// New checks o and returns a Processor, or ErrOptions.
func New(o Options) (*Processor, error) {
	if o.Target == nil || len(o.Anchors) == 0 {
		return nil, fmt.Errorf("%w: no target or no anchor", ErrOptions)
	}
	if o.Fetch == nil {
		o.Fetch = noFetcher{}
	}
	if o.MaxComponents == 0 {
		o.MaxComponents = suit.MaxComponents
	}
	if len(o.Digests) == 0 {
		o.Digests = []suit.DigestAlgorithm{suit.SHA256}
	}
	for _, c := range o.Custom {
		if c.Code >= -suit.MaxStandardCode || c.Run == nil {
			return nil, fmt.Errorf("%w: custom command %d", ErrOptions, c.Code)
		}
	}
	p := &Processor{o: o, commands: o.commands(), parameters: o.parameters()}
	for _, a := range o.Anchors {
		one, err := a.ready()
		if err != nil {
			return nil, err
		}
		p.anchors = append(p.anchors, one)
	}
	return p, nil
}

// ready returns a with its Verifier, or ErrOptions.
func (a Anchor) ready() (anchor, error) {
	if a.Wrapping != nil && !a.Wrapping.Shared() {
		return anchor{}, fmt.Errorf("%w: codes to a public key prove no origin", ErrOptions)
	}
	if a.Secret != nil || a.Wrapping != nil {
		return anchor{Anchor: a}, nil
	}
	v, err := cose.NewVerifier(a.Key, a.Algorithms...)
	if err != nil {
		return anchor{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return anchor{Anchor: a, verifier: v}, nil
}

// custom returns the custom command with the given code.
func (p *Processor) custom(code suit.Code) (Custom, bool) {
	i := slices.IndexFunc(p.o.Custom, func(c Custom) bool { return c.Code == code })
	if i < 0 {
		return Custom{}, false
	}
	return p.o.Custom[i], true
}

// noFetcher is a device that fetches nothing.
type noFetcher struct{}

// Fetch implements Fetcher.
func (noFetcher) Fetch(context.Context, string, uint64) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%w: this device fetches nothing", ErrScheme)
}
