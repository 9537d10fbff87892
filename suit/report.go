package suit

import (
	"fmt"

	"steward/suit/cose"
)

// A ReportReason is why a procedure failed, in terms that all devices share
// (draft-ietf-suit-report §4.2).
type ReportReason uint64

// The reasons. None fits a sequence number or a manifest version that is refused.
const (
	ReportOK                    ReportReason = 0
	ReportCBOR                  ReportReason = 1
	ReportCOSE                  ReportReason = 2
	ReportAlgorithm             ReportReason = 3
	ReportUnauthorised          ReportReason = 4
	ReportCommand               ReportReason = 5
	ReportComponent             ReportReason = 6
	ReportComponentUnauthorised ReportReason = 7
	ReportParameter             ReportReason = 8
	ReportSevering              ReportReason = 9
	ReportCondition             ReportReason = 10
	ReportOperation             ReportReason = 11
	ReportInvokePending         ReportReason = 12
)

// reportReasons are the reasons in words. It is never changed.
var reportReasons = []string{
	"ok", "malformed CBOR", "COSE structure not supported", "algorithm not supported", "not authentic",
	"command not supported", "component not supported", "signer may not change the component",
	"parameter not supported", "severing not supported", "condition not met", "operation failed", "invoke pending",
}

// String returns the reason in words.
func (r ReportReason) String() string {
	if r < ReportReason(len(reportReasons)) {
		return reportReasons[r]
	}
	return fmt.Sprintf("reason %d", uint64(r))
}

// A Report is a SUIT_Report (draft-ietf-suit-report §4): what a device did with a
// manifest.
type Report struct {
	// URI and Digest are those of the root manifest; URI may be empty.
	URI    string
	Digest Digest
	// Nonce proves freshness; nil for none.
	Nonce []byte
	// Records tell of single commands, in their order.
	Records []Record
	// Failure is nil if the procedure succeeded.
	Failure *Failure
	// Capabilities are what the device can do; nil if they were not asked for.
	Capabilities *Capabilities
}

// A Record tells of one command, or of measured properties of one component.
type Record struct {
	// System names the component whose properties these are; all fields but
	// Parameters are empty then.
	System ComponentID
	// Manifest leads from the root manifest to the one with the command: each
	// number counts the dependencies of a manifest, from zero.
	Manifest []int
	// Section is the element in which the command stands, and Offset its distance
	// in bytes from the start of the innermost sequence.
	Section Element
	Offset  int
	// Component is the index selected.
	Component int
	// Parameters are what was measured.
	Parameters []Parameter
}

// A Failure is how a procedure ended.
type Failure struct {
	// Code is the device's own.
	Code int64
	// Record is where it ended.
	Record Record
	Reason ReportReason
}

// Capabilities are what a manifest processor implements (draft-ietf-suit-report
// §6).
type Capabilities struct {
	Components []ComponentID
	Commands   []Code
	Parameters []Key
	Algorithms []int64 // of COSE: signatures, codes, encryption, digests
}

// The keys of a report, and the tag of a protected one.
const (
	reportNonce        = 2
	reportRecords      = 3
	reportResult       = 4
	reportCode         = 5
	reportRecord       = 6
	reportReason       = 7
	reportCapabilities = 8
	reportReference    = 99

	capabilityComponents = 1
	capabilityCommands   = 2
	capabilityParameters = 3
	capabilityAlgorithms = 4

	// TagReport marks a protected report.
	TagReport = 285
)

// Encode returns the report in deterministic form, not protected.
func (r *Report) Encode() []byte {
	reference := appendHead(nil, majorArray, 1)
	if r.URI != "" {
		reference = append(appendHead(nil, majorArray, 2), encodeText(r.URI)...)
	}
	records := appendHead(nil, majorArray, uint64(len(r.Records)))
	for i := range r.Records {
		records = append(records, r.Records[i].encode()...)
	}
	result := item{cborTrue}
	if f := r.Failure; f != nil {
		result = appendMap(nil, []pair{
			{key: intKey(reportCode), value: appendInt(nil, f.Code)},
			{key: intKey(reportRecord), value: f.Record.encode()},
			{key: intKey(reportReason), value: appendHead(nil, majorUint, uint64(f.Reason))},
		})
	}
	pairs := []pair{
		{key: intKey(reportReference), value: append(reference, r.Digest.Encode()...)},
		{key: intKey(reportRecords), value: records},
		{key: intKey(reportResult), value: result},
	}
	if r.Nonce != nil {
		pairs = append(pairs, pair{key: intKey(reportNonce), value: wrap(r.Nonce)})
	}
	if r.Capabilities != nil {
		pairs = append(pairs, pair{key: intKey(reportCapabilities), value: r.Capabilities.encode()})
	}
	return appendMap(nil, pairs)
}

func (r *Record) encode() []byte {
	parameters := make([]pair, 0, len(r.Parameters)+1)
	for _, p := range r.Parameters {
		parameters = append(parameters, pair{key: intKey(int64(p.Key)), value: p.value})
	}
	if r.System != "" {
		return appendMap(nil, append(parameters, pair{key: intKey(0), value: item(r.System)}))
	}
	b := appendHead(nil, majorArray, 5)
	b = appendHead(b, majorArray, uint64(len(r.Manifest)))
	for _, n := range r.Manifest {
		b = appendInt(b, int64(n))
	}
	b = appendInt(b, int64(r.Section))
	b = appendInt(b, int64(r.Offset))
	b = appendInt(b, int64(r.Component))
	return appendMap(b, parameters)
}

func (c *Capabilities) encode() []byte {
	components := appendHead(nil, majorArray, uint64(len(c.Components)))
	for _, id := range c.Components {
		components = append(components, id...)
	}
	return appendMap(nil, []pair{
		{key: intKey(capabilityComponents), value: components},
		{key: intKey(capabilityCommands), value: encodeInts(c.Commands)},
		{key: intKey(capabilityParameters), value: encodeInts(c.Parameters)},
		{key: intKey(capabilityAlgorithms), value: encodeInts(c.Algorithms)},
	})
}

func encodeInts[T ~int64](list []T) []byte {
	b := appendHead(nil, majorArray, uint64(len(list)))
	for _, n := range list {
		b = appendInt(b, int64(n))
	}
	return b
}

// Sign returns the report in a COSE_Sign1 message with the tag of a protected
// report. It returns the error of the key.
func (r *Report) Sign(s *cose.Signer) ([]byte, error) {
	message, err := cose.SignSign1(s, cose.Options{Payload: r.Encode(), Tagged: true})
	if err != nil {
		return nil, err
	}
	return append(appendHead(nil, majorTag, TagReport), message...), nil
}

// VerifyReport reads a report that Sign returned, or one whose tags were left
// out. It returns ErrStructure, ErrEncoding or an error of package cose.
func VerifyReport(raw []byte, v *cose.Verifier) (*Report, error) {
	if r := (&reader{b: raw}); len(raw) > 0 {
		if major, tag, err := r.head(); err == nil && major == majorTag && tag == TagReport {
			raw = raw[r.off:]
		}
	}
	payload, err := cose.VerifySign1(raw, v, nil, nil)
	if err != nil {
		return nil, err
	}
	return ParseReport(payload)
}
