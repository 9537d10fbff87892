package process

import (
	"maps"
	"slices"

	"steward/suit"
	"steward/suit/cose"
)

// Reporting says which commands reports tell of.
type Reporting int

// The ways to report.
const (
	ReportByPolicy   Reporting = iota // what the manifest asks for (§8.4.7)
	ReportEverything                  // every command
	ReportNothing                     // only the result
)

// The bits of a reporting policy (§8.4.7).
const (
	recordOnSuccess suit.Policy = 1 << iota
	recordOnFailure
	measureOnSuccess
	measureOnFailure
)

// maxRecords bounds a report: what comes later is left out, but not the failure.
const maxRecords = 1024

// A recorder gathers the records of one root manifest and its dependencies.
type recorder struct {
	root    *Package
	records []suit.Record
}

// measure notes what the present command found, for the report.
func (m *machine) measure(key suit.Key, value any) {
	p, err := suit.NewParameter(key, value)
	if err != nil {
		return // an identifier in another form: not worth a report
	}
	m.measured = slices.DeleteFunc(m.measured, func(old suit.Parameter) bool { return old.Key == key })
	m.measured = append(m.measured, p)
}

// record tells of a command that ended with err.
func (m *machine) record(c *suit.Command, i int, err error) {
	record := suit.Record{
		Manifest: slices.Clone(m.walk), Section: m.section.Element(), Offset: c.Offset, Component: i,
		Parameters: m.measured,
	}
	r := m.k.records
	if e := innermost(err); e != nil && e.at == nil {
		e.at = &record
	}
	tell, properties := recordOnSuccess, measureOnSuccess
	if err != nil {
		tell, properties = recordOnFailure, measureOnFailure
	}
	everything := m.p.o.Reporting == ReportEverything
	if len(r.records) >= maxRecords || m.p.o.Reporting == ReportNothing {
		return
	}
	if everything || c.Policy&tell != 0 {
		r.records = append(r.records, record)
	}
	if len(m.measured) > 0 && (everything || c.Policy&properties != 0) {
		r.records = append(r.records, suit.Record{System: m.id(i), Parameters: m.measured})
	}
}

// reportReasons maps reasons to those that all devices share. No shared reason
// fits a manifest version or sequence number that is refused.
var reportReasons = map[Reason]suit.ReportReason{
	ReasonEncoding:     suit.ReportCBOR,
	ReasonStructure:    suit.ReportCBOR,
	ReasonUnsupported:  suit.ReportCBOR,
	ReasonCOSE:         suit.ReportCOSE,
	ReasonAlgorithm:    suit.ReportAlgorithm,
	ReasonUnauthorised: suit.ReportUnauthorised,
	ReasonCommand:      suit.ReportCommand,
	ReasonComponent:    suit.ReportComponent,
	ReasonAccess:       suit.ReportComponentUnauthorised,
	ReasonParameter:    suit.ReportParameter,
	ReasonCondition:    suit.ReportCondition,
	ReasonOperation:    suit.ReportOperation,
}

// codes are the numbers of reasons in reports, which are ours.
var codes = []Reason{
	ReasonEncoding, ReasonStructure, ReasonCOSE, ReasonAlgorithm, ReasonUnauthorised, ReasonVersion, ReasonRollback,
	ReasonComponent, ReasonAccess, ReasonCommand, ReasonParameter, ReasonUnsupported, ReasonCondition, ReasonOperation,
}

// Report returns what the procedures of k did; err is the outcome of the last
// one. nonce is the server's, nil for none.
func (k *Package) Report(err error, nonce []byte) *suit.Report {
	r := &suit.Report{
		URI: k.Manifest.ReferenceURI, Digest: k.Envelope.Digest, Nonce: nonce, Records: slices.Clone(k.records.records),
	}
	if err != nil {
		r.Failure = failure(err)
	}
	return r
}

// Report returns the report on an envelope that Open refused with err. An envelope
// that cannot even be parsed is named by the SHA-256 of its bytes.
func (p *Processor) Report(raw []byte, err error, nonce []byte) *suit.Report {
	r := &suit.Report{Nonce: nonce, Failure: failure(err)}
	if e, decodeErr := suit.Decode(raw, p.o.Limits); decodeErr == nil {
		r.Digest = e.Digest
		if m, decodeErr := e.Manifest(p.o.Digests...); decodeErr == nil {
			r.URI = m.ReferenceURI
		}
		return r
	}
	r.Digest, _ = suit.Sum(suit.SHA256, raw) // an algorithm that is always there
	return r
}

// failure tells of an error. One that no command met belongs to its stage.
func failure(err error) *suit.Failure {
	f := &suit.Failure{
		Reason: suit.ReportOperation, Code: int64(len(codes)), Record: suit.Record{Section: suit.ElementManifest},
	}
	if e := innermost(err); e != nil {
		f.Record.Section = suit.Section(e.Stage).Element()
		if e.at != nil {
			f.Record = *e.at
		}
		f.Code = int64(slices.Index(codes, e.Reason))
		if reason, ok := reportReasons[e.Reason]; ok {
			f.Reason = reason
		}
	}
	return f
}

// Capabilities returns what this processor implements, for authors. components
// are those of the device.
func (p *Processor) Capabilities(components ...suit.ComponentID) *suit.Capabilities {
	c := &suit.Capabilities{
		Components: components,
		Commands:   append(slices.Collect(maps.Keys(p.commands)), suit.DirectiveSetComponentIndex),
		Algorithms: []int64{},
	}
	for _, custom := range p.o.Custom {
		c.Commands = append(c.Commands, custom.Code)
	}
	for key, ok := range p.parameters {
		if ok {
			c.Parameters = append(c.Parameters, key)
		}
	}
	for _, alg := range p.algorithms() {
		if !slices.Contains(c.Algorithms, int64(alg)) {
			c.Algorithms = append(c.Algorithms, int64(alg))
		}
	}
	for _, d := range p.o.Digests {
		c.Algorithms = append(c.Algorithms, int64(d))
	}
	slices.Sort(c.Commands)
	slices.Sort(c.Parameters)
	slices.Sort(c.Algorithms)
	return c
}

// algorithms are those of COSE that the keys of the device serve.
func (p *Processor) algorithms() []cose.Algorithm {
	var list []cose.Algorithm
	for _, a := range p.anchors {
		if a.verifier == nil {
			list = append(list, cose.HMAC256)
			continue
		}
		for _, alg := range []cose.Algorithm{
			cose.ES256, cose.ESP256, cose.ES384, cose.ESP384, cose.EdDSA, cose.Ed25519,
		} {
			if a.verifier.Allows(alg) {
				list = append(list, alg)
			}
		}
	}
	for _, k := range p.o.Keys {
		list = append(list, k.Algorithm(), cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR, cose.A256CTR)
	}
	return list
}
