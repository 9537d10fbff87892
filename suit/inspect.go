package suit

import (
	"fmt"
	"slices"
	"strings"

	"steward/suit/cose"
)

// Inspect returns the envelope in words, for people: who signed what, for which
// components, and each command. Only the algorithms named may prove severed
// elements, SHA-256 if none is. Text from the envelope is quoted, so that nothing
// in it reaches a terminal as it is. What cannot be decoded is said in its place:
// Inspect never fails, and proves nothing.
func (e *Envelope) Inspect(allowed ...DigestAlgorithm) string {
	p := &printer{}
	form := "tagged"
	if !e.Tagged {
		form = "not tagged"
	}
	p.line("envelope, %s", form)
	p.indented(func() {
		verdict := "matches the manifest"
		if err := e.VerifyDigest(e.Digest.Algorithm); err != nil {
			verdict = "DIFFERS: " + err.Error()
		}
		p.line("digest: %v (%s)", e.Digest, verdict)
		for i, b := range e.Blocks {
			p.line("authentication block %d: %s", i, describeBlock(b))
		}
		if len(e.Blocks) == 0 {
			p.line("not signed")
		}
		for _, name := range sortedKeys(e.Integrated) {
			p.line("integrated payload %q: %d bytes", name, len(e.Integrated[name]))
		}
	})
	m, err := e.Manifest(allowed...)
	if err != nil {
		p.line("manifest: %v", err)
		return p.String()
	}
	p.manifest(m)
	return p.String()
}

// Signatures says in words who the authentication blocks claim to be by. It proves
// nothing.
func (e *Envelope) Signatures() []string {
	list := make([]string, 0, len(e.Blocks))
	for _, b := range e.Blocks {
		list = append(list, describeBlock(b))
	}
	return list
}

// describeBlock names the kind, the algorithm and the key of a COSE message.
func describeBlock(raw []byte) string {
	kind, err := cose.KindOf(raw)
	if err != nil {
		return err.Error()
	}
	switch kind {
	case cose.KindSign1:
		m, err := cose.ParseSign1(raw)
		if err != nil {
			return describeHeaders("signature", nil, err)
		}
		return describeHeaders("signature", &m.Headers, nil)
	case cose.KindMac0:
		m, err := cose.ParseMac0(raw)
		if err != nil {
			return describeHeaders("authentication code", nil, err)
		}
		return describeHeaders("authentication code", &m.Headers, nil)
	case cose.KindMac:
		m, err := cose.ParseMac(raw)
		if err != nil {
			return describeHeaders("authentication code", nil, err)
		}
		return describeMac(m)
	case cose.KindSign:
		m, err := cose.ParseSign(raw)
		if err != nil {
			return describeHeaders("signatures", nil, err)
		}
		parts := make([]string, 0, len(m.Signatures))
		for i := range m.Signatures {
			parts = append(parts, describeHeaders("signature", &m.Signatures[i].Headers, nil))
		}
		return strings.Join(parts, "; ")
	default:
		return fmt.Sprintf("COSE message of tag %d", kind)
	}
}

// describeHeaders names the algorithm and the key, or what is wrong with them.
func describeHeaders(name string, h *cose.Headers, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	if kid := h.KeyID(); kid != nil {
		return fmt.Sprintf("%s, %v, key %s", name, h.Algorithm(), show(kid))
	}
	return fmt.Sprintf("%s, %v, key not named", name, h.Algorithm())
}

// describeMac names the keys for which a code was made.
func describeMac(m *cose.Mac) string {
	parts := []string{fmt.Sprintf("authentication code, %v", m.Algorithm())}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		parts = append(parts, fmt.Sprintf("for key %s by %v", show(r.KeyID()), r.Algorithm()))
	}
	return strings.Join(parts, ", ")
}

// A printer indents lines.
type printer struct {
	strings.Builder

	depth int
}

func (p *printer) line(format string, args ...any) {
	p.WriteString(strings.Repeat("  ", p.depth))
	_, _ = fmt.Fprintf(p, format, args...) // memory never fails
	p.WriteByte('\n')
}

func (p *printer) indented(f func()) {
	p.depth++
	f()
	p.depth--
}

func (p *printer) manifest(m *Manifest) {
	p.line("manifest, sequence number %d", m.Sequence)
	p.indented(func() {
		if m.ReferenceURI != "" {
			p.line("found at %q", m.ReferenceURI)
		}
		if m.ID != "" {
			p.line("is itself component %v", m.ID)
		}
		if m.Version != nil {
			p.line("version %v", m.Version)
		}
		p.components(m)
		if m.CoSWID != nil {
			p.line("coswid: %d bytes", len(m.CoSWID))
		}
		if m.MUD != nil {
			p.line("network use: %q, signed by key %v", m.MUD.URL, m.MUD.SKI)
		}
		p.section(SectionShared, m.Sections[SectionShared])
		for _, row := range sectionKeys {
			p.section(row.section, m.Sections[row.section])
		}
		for _, t := range m.Text {
			p.text(t)
		}
	})
}

// components lists what the manifest is about, and what it lacks.
func (p *printer) components(m *Manifest) {
	for i, id := range m.Components {
		p.line("component %d: %v", i, id)
	}
	for _, d := range m.Dependencies {
		if d.Prefix == "" {
			p.line("dependency: component %d", d.Index)
			continue
		}
		p.line("dependency: component %d, prefix %v", d.Index, d.Prefix)
	}
	for _, element := range severable {
		if digest, ok := m.Severed[element]; ok {
			p.line("%s: severed, %v", element.name(), digest)
		}
	}
}

// name returns what stands in the element.
func (e Element) name() string {
	for _, row := range sectionKeys {
		if row.element == e {
			return string(row.section)
		}
	}
	switch e {
	case ElementCoSWID:
		return "coswid"
	case ElementText:
		return "text"
	default:
		return fmt.Sprintf("element %d", int64(e))
	}
}

func (p *printer) section(name Section, seq Sequence) {
	if len(seq) == 0 {
		return
	}
	p.line("section %s", name)
	p.indented(func() { p.sequence(seq) })
}

func (p *printer) sequence(seq Sequence) {
	for i := range seq {
		p.command(&seq[i])
	}
}

func (p *printer) command(c *Command) {
	switch codes[c.Code].argument {
	case argumentPolicy:
		p.line("%v (%s)", c.Code, c.Policy)
	case argumentIndex:
		if c.Index.All {
			p.line("%v: all", c.Code)
			return
		}
		p.line("%v: %d", c.Code, c.Index.List)
	case argumentParameters:
		p.line("%v", c.Code)
		p.indented(func() { p.parameters(c.Parameters) })
	case argumentAlternatives, argumentSequence:
		p.line("%v", c.Code)
		for i, seq := range c.Sequences {
			p.indented(func() {
				p.line("sequence %d", i)
				p.indented(func() { p.sequence(seq) })
			})
		}
		if c.OrSucceed {
			p.indented(func() { p.line("or succeed") })
		}
	case argumentMultiple:
		for _, o := range c.PerComponent {
			p.line("%v: component %d", c.Code, o.Component)
			p.indented(func() { p.parameters(o.Parameters) })
		}
	case argumentCopies:
		for _, one := range c.Copies {
			p.line("%v: %v of component %d", c.Code, one.Keys, one.Source)
		}
	case argumentAny:
		p.line("%v: h'%x'", c.Code, c.argument)
	}
}

// String returns when the command is to be reported.
func (p Policy) String() string {
	var parts []string
	for i, name := range []string{"success", "failure", "state on success", "state on failure"} {
		if p>>i&1 != 0 {
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		return "not reported"
	}
	return "report " + strings.Join(parts, ", ")
}

func (p *printer) text(t Text) {
	p.line("text, language %q", t.Language)
	p.indented(func() {
		for _, key := range sortedKeys(t.Manifest) {
			p.line("%s: %q", textNames[key], t.Manifest[key])
		}
		for _, id := range sortedKeys(t.Components) {
			for _, key := range sortedKeys(t.Components[id]) {
				p.line("component %v, %s: %q", id, componentTextNames[key], t.Components[id][key])
			}
		}
	})
}

// textNames and componentTextNames say what texts are. They are never changed.
var (
	textNames = map[TextKey]string{
		TextManifestDescription: "manifest", TextUpdateDescription: "update",
		TextJSONSource: "JSON source", TextYAMLSource: "YAML source",
	}
	componentTextNames = map[ComponentTextKey]string{
		TextVendorName: "vendor", TextModelName: "model", TextVendorDomain: "vendor domain", TextModelInfo: "model info",
		TextComponentDescription: "description", TextComponentVersion: "version",
		TextVersionRequired: "version required", TextCurrentVersion: "current version",
	}
)

func sortedKeys[K ~string | ~int64, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
