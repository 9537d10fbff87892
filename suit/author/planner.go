package author

import (
	"fmt"
	"slices"

	"steward/suit"
)

// A planner turns a Plan into a manifest. It keeps the first error.
type planner struct {
	builder

	plan       Plan
	m          *suit.Manifest
	built      *Built
	integrated map[string][]byte
}

// name returns the index of a component, which becomes one of the manifest.
func (b *planner) name(id suit.ComponentID) int {
	if i := slices.Index(b.m.Components, id); i >= 0 {
		return i
	}
	b.m.Components = append(b.m.Components, id)
	return len(b.m.Components) - 1
}

func choose(i int) suit.Command {
	return suit.Command{Code: suit.DirectiveSetComponentIndex, Index: suit.Index{List: []int{i}}}
}

func set(list ...suit.Parameter) suit.Command {
	return suit.Command{Code: suit.DirectiveOverrideParameters, Parameters: list}
}

// add appends commands on component i to a section.
func (b *planner) add(s suit.Section, i int, commands ...suit.Command) {
	b.m.Sections[s] = append(append(b.m.Sections[s], choose(i)), commands...)
}

// identity begins the shared sequence with the compatibility check of §7.1.
func (b *planner) identity() {
	parameters := []suit.Parameter{
		b.parameter(suit.ParameterVendor, b.plan.Vendor[:]), b.parameter(suit.ParameterClass, b.plan.Class[:]),
	}
	conditions := suit.Sequence{
		{Code: suit.ConditionVendor, Policy: report}, {Code: suit.ConditionClass, Policy: report},
	}
	if !b.plan.Device.IsZero() {
		parameters = append(parameters, b.parameter(suit.ParameterDevice, b.plan.Device[:]))
		conditions = append(conditions, suit.Command{Code: suit.ConditionDevice, Policy: report})
	}
	if b.plan.UseBefore > 0 {
		parameters = append(parameters, b.parameter(suit.ParameterUseBefore, b.plan.UseBefore))
		conditions = append(conditions, suit.Command{Code: suit.ConditionUseBefore, Policy: report})
	}
	b.m.Sections[suit.SectionShared] = slices.Concat(
		suit.Sequence{choose(0), set(parameters...)}, conditions, b.m.Sections[suit.SectionShared])
}

// dependency fetches the envelope, verifies it and runs it in each stage before
// the images (draft-ietf-suit-trust-domains §8.1).
func (b *planner) dependency(d *Dependency) {
	e, err := suit.Decode(d.Envelope, suit.Limits{})
	if err != nil {
		b.fail(fmt.Errorf("dependency %v: %w", d.Component, err))
		return
	}
	i := b.name(d.Component)
	b.m.Dependencies = append(b.m.Dependencies, suit.Dependency{Index: i, Prefix: d.Prefix})
	uri := d.URI
	if uri == "" {
		uri = "#" + d.Component.String()
		b.integrated[uri] = d.Envelope
	} else {
		b.built.Payloads[uri] = d.Envelope
	}
	process := []suit.Command{
		{Code: suit.ConditionDependencyIntegrity, Policy: report}, {Code: suit.DirectiveProcessDependency, Policy: report},
	}
	b.add(suit.SectionShared, i, set(b.parameter(suit.ParameterImageDigest, e.Digest)))
	fetch := []suit.Command{
		set(b.parameter(suit.ParameterURI, uri)), {Code: suit.DirectiveFetch, Policy: reportFailure},
	}
	b.add(suit.SectionDependencies, i, append(fetch, process...)...)
	for _, s := range []suit.Section{suit.SectionInstall, suit.SectionValidate} {
		b.add(s, i, process...)
	}
}

// image installs one image, of several variants the one for the slot from which
// the component runs.
func (b *planner) image(n int) {
	image := &b.plan.Images[n]
	i := b.name(image.Component)
	var shared, install []suit.Sequence
	for s := range image.Slots {
		before, commands := b.slot(image, i, n, &image.Slots[s])
		if len(image.Slots) > 1 {
			check := suit.Sequence{
				set(b.parameter(suit.ParameterComponentSlot, image.Slots[s].Number)),
				{Code: suit.ConditionComponentSlot, Policy: report},
			}
			before, commands = slices.Concat(suit.Sequence{choose(i)}, check, before),
				slices.Concat(suit.Sequence{choose(i)}, check, commands)
		}
		shared, install = append(shared, before), append(install, commands)
	}
	match := suit.Command{Code: suit.ConditionImageMatch, Policy: report}
	if len(image.Slots) == 1 {
		b.add(suit.SectionShared, i, shared[0]...)
		b.add(suit.SectionInstall, i, append(install[0], match)...)
	} else {
		b.add(suit.SectionShared, i, suit.Command{Code: suit.DirectiveTryEach, Sequences: shared})
		b.add(suit.SectionInstall, i, suit.Command{Code: suit.DirectiveTryEach, Sequences: install}, match)
	}
	b.add(suit.SectionValidate, i, match)
	if image.Boot {
		b.add(suit.SectionInvoke, i, suit.Command{Code: suit.DirectiveInvoke, Policy: reportFailure})
	}
}

// slot returns what the shared sequence sets for a variant, and how it is
// installed.
func (b *planner) slot(image *Image, i, n int, s *Slot) (shared, install suit.Sequence) {
	digest, size := s.Digest, s.Size
	if s.Payload != nil {
		var err error
		if digest, err = suit.Sum(b.plan.Digest, s.Payload); err != nil {
			b.fail(err)
		}
		size = uint64(len(s.Payload))
	}
	shared = suit.Sequence{set(
		b.parameter(suit.ParameterImageDigest, digest), b.parameter(suit.ParameterImageSize, size))}
	delivered := s.Payload
	var parameters []suit.Parameter
	if image.Encryption != nil {
		info, ciphertext, err := image.Encryption.Encrypt(s.Payload)
		if err != nil {
			b.fail(err)
		}
		parameters = append(parameters, b.parameter(suit.ParameterEncryptionInfo, info))
		delivered = ciphertext
	}
	if image.Sealed != nil {
		parameters = append(parameters, b.parameter(suit.ParameterEncryptionInfo, image.Sealed.Info))
		digest, size = image.Sealed.Digest, image.Sealed.Size
	}
	if s.Inline {
		parameters = append(parameters, b.parameter(suit.ParameterContent, delivered))
		return shared, suit.Sequence{set(parameters...), {Code: suit.DirectiveWrite, Policy: reportFailure}}
	}
	from := []suit.Parameter{b.parameter(suit.ParameterURI, b.deliver(s, n, delivered))}
	if s.FetchArguments != nil {
		from = append(from, b.parameter(suit.ParameterFetchArguments, s.FetchArguments))
	}
	if image.Staging == "" {
		parameters = append(parameters, from...)
		return shared, suit.Sequence{set(parameters...), {Code: suit.DirectiveFetch, Policy: reportFailure}}
	}
	return shared, b.staged(image, i, from, digest, size, delivered, parameters)
}

// deliver returns the URI under which a payload is found.
func (b *planner) deliver(s *Slot, n int, payload []byte) string {
	uri := s.URI
	switch {
	case s.Integrated:
		if uri == "" {
			uri = fmt.Sprintf("#image-%d-%d", n, s.Number)
		}
		b.integrated[uri] = payload
	case payload != nil:
		b.built.Payloads[uri] = payload
	}
	return uri
}

// staged fetches into another component, verifies what came, and copies from there
// (§7.4): a ciphertext that was changed is found before it is decrypted.
func (b *planner) staged(
	image *Image, i int, from []suit.Parameter, digest suit.Digest, size uint64, delivered []byte,
	parameters []suit.Parameter,
) suit.Sequence {
	if image.Encryption != nil {
		var err error
		if digest, err = suit.Sum(b.plan.Digest, delivered); err != nil {
			b.fail(err)
		}
		size = uint64(len(delivered))
	}
	source := b.name(image.Staging)
	parameters = append(parameters, b.parameter(suit.ParameterSourceComponent, uint64(source))) //nolint:gosec // an index
	return suit.Sequence{
		choose(source),
		set(append(from, b.parameter(suit.ParameterImageDigest, digest), b.parameter(suit.ParameterImageSize, size))...),
		{Code: suit.DirectiveFetch, Policy: reportFailure},
		{Code: suit.ConditionImageMatch, Policy: report},
		choose(i),
		set(parameters...),
		{Code: suit.DirectiveCopy, Policy: reportFailure},
	}
}

// fail keeps the first error.
func (b *planner) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}
