package demo

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Report is what the databases, the devices' files and fresh handshakes say
// after the run.
type Report struct {
	Devices    int `json:"devices"`
	Enrolled   int `json:"enrolled"`   // got an operational certificate of Alpha's CA
	Registered int `json:"registered"` // registered at Alpha
	Updated    int `json:"updated"`    // ran Alpha's manifest, by its database and by their files
	// Transferred counts the devices whose last state is FINALISED at Beta.
	Transferred int `json:"transferred"`
	// ActiveAtSP2 counts the devices registered at Beta with a live certificate of
	// Beta's CA for a key that Alpha never saw.
	ActiveAtSP2 int `json:"active_at_sp2"`
	// RefusedAtSP1 counts the devices whose old key and factory key were both
	// tried at Alpha and refused.
	RefusedAtSP1 int `json:"refused_at_sp1"`
	// FellBack counts the devices that are back at Alpha with a new key.
	FellBack int `json:"fell_back"`
	// Attested counts the devices with an affirming verdict of Beta's verifier that both
	// providers have verified, and Contraindicated those with one against them.
	Attested        int `json:"attested"`
	Contraindicated int `json:"contraindicated,omitempty"`
	// Rekeyed counts the devices with a factory key of their own whose key from the
	// factory both providers refuse.
	Rekeyed int `json:"rekeyed,omitempty"`
	// UpdatedFirst counts the devices that ran Beta's image before they enrolled there.
	UpdatedFirst int `json:"updated_first,omitempty"`
	// StayedAtSP1 counts the devices that are at Alpha as before: with the same
	// certificate, and nothing of Beta's.
	StayedAtSP1 int `json:"stayed_at_sp1,omitempty"`
	// SecondManifest counts the devices that run Beta's first manifest.
	SecondManifest       int    `json:"second_manifest_accepted"`
	Approvals            int    `json:"approvals"`
	PerDeviceActions     int    `json:"per_device_actions"`
	TransferMessageBytes int    `json:"transfer_message_bytes"` // median
	DeviceBytes          Phases `json:"device_bytes"`           // medians, both directions, UDP payload
	DeviceMessages       Phases `json:"device_messages"`        // medians, both directions, datagrams
	// Server is what both servers spent on a device; nil where one was killed meanwhile.
	Server *ServerCost `json:"server,omitempty"`
	// Disruption is the median and the longest time without service, in seconds.
	DisruptionMedian float64 `json:"disruption_median_seconds"`
	DisruptionMax    float64 `json:"disruption_max_seconds"`

	Hierarchy   string   `json:"hierarchy"` // one of Hierarchies
	Encoding    string   `json:"encoding"`  // one of Encodings
	Attest      bool     `json:"attest"`    // was asked for
	Rekey       bool     `json:"rekey,omitempty"`
	UpdateFirst bool     `json:"update_first"` // was asked for
	Fault       string   `json:"fault"`        // "": none
	Seconds     float64  `json:"seconds"`
	OK          bool     `json:"ok"`
	Problems    []string `json:"problems,omitempty"` // what was not as promised
}

// Phases are figures of the hand-over of one device. The first three have
// reference sizes in the transfer protocol (§2).
type Phases struct {
	Handshake int `json:"handshake"` // with the new provider's enrolment CA
	Enrolment int `json:"enrolment"` // /sen, of devices whose first request was answered with a certificate
	Transfer  int `json:"transfer"`  // TransferMessage written, and its answer

	Anchors  int `json:"anchors"` // certificates staged and read back
	Receipts int `json:"receipts"`
	Crts     int `json:"crts"`
	Register int `json:"register"` // at the new provider, without its handshake
	Renewal  int `json:"renewal"`  // /sren by a fresh key after attestation or update, with its handshake
}

// Reference sizes of the transfer protocol §2, DTLS 1.2 CCM_8 and X.509, bytes.
const (
	referenceHandshake = 2144
	referenceEnrolment = 663
	referenceMessage   = 83 // around the TransferMessage
	tolerance          = 1.3
)

// expect fills OK and Problems by what was promised.
func (r *Report) expect(at home) {
	want := func(what string, got, want int) {
		if got != want {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d, want %d", what, got, want))
		}
	}
	want("enrolled", r.Enrolled, r.Devices)
	want("registered", r.Registered, r.Devices)
	want("updated", r.Updated, r.Devices)
	want("approvals", r.Approvals, 2) //nolint:mnd // one a side
	want("per_device_actions", r.PerDeviceActions, 0)
	switch at {
	case fellBack:
		want("fell_back", r.FellBack, r.Devices)
		want("active_at_sp2", r.ActiveAtSP2, 0)
	case stayed:
		want("stayed_at_sp1", r.StayedAtSP1, r.Devices)
		want("fell_back", r.FellBack, 0)
		want("active_at_sp2", r.ActiveAtSP2, 0)
	case moved:
		want("transferred", r.Transferred, r.Devices)
		want("active_at_sp2", r.ActiveAtSP2, r.Devices)
		want("refused_at_sp1", r.RefusedAtSP1, r.Devices)
		want("second_manifest_accepted", r.SecondManifest, r.Devices)
		want("fell_back", r.FellBack, 0)
	}
	if r.Rekey {
		want("rekeyed", r.Rekeyed, r.Devices)
	}
	r.expectVerdicts(at, want)
	if r.UpdateFirst && at == moved {
		want("updated_first", r.UpdatedFirst, r.Devices)
	}
	r.OK = len(r.Problems) == 0
}

// expectVerdicts checks what the verifier said.
func (r *Report) expectVerdicts(at home, want func(what string, got, want int)) {
	switch {
	case r.Fault == faultRAReject:
		want("contraindicated", r.Contraindicated, r.Devices)
		want("attested", r.Attested, 0)
	case !r.Attest || at == stayed:
		want("attested", r.Attested, 0)
	case at == moved:
		want("attested", r.Attested, r.Devices)
	default: // the verifier may have been out of reach too
	}
}

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }
	line("\nReport, from both databases, the devices' files and fresh handshakes")
	line("devices\t%d", r.Devices)
	line("enrolled at Alpha\t%d", r.Enrolled)
	line("registered at Alpha\t%d", r.Registered)
	line("updated by Alpha\t%d", r.Updated)
	line("handed over\t%d", r.Transferred)
	line("active at Beta with a new key\t%d", r.ActiveAtSP2)
	line("old and factory key refused at Alpha\t%d", r.RefusedAtSP1)
	line("updated by Beta\t%d", r.SecondManifest)
	line("fell back to Alpha\t%d", r.FellBack)
	if r.UpdateFirst {
		line("updated by Beta before they enrolled\t%d", r.UpdatedFirst)
	}
	if r.Attest {
		line("attested, verified by both\t%d", r.Attested)
		line("spoken against by the verifier\t%d", r.Contraindicated)
	}
	if r.Rekey {
		line("with a factory key of their own\t%d", r.Rekeyed)
	}
	line("stayed at Alpha\t%d", r.StayedAtSP1)
	line("human approvals\t%d", r.Approvals)
	line("actions per device\t%d", r.PerDeviceActions)
	line("without service, median and longest\t%.1f s, %.1f s", r.DisruptionMedian, r.DisruptionMax)
	r.costTable(line)
	if s := r.Server; s != nil {
		line("\nserver CPU per device, ms\tAlpha %.1f, Beta %.1f\t\thandshakes in it: %.1f of %.2f", s.AlphaMS, s.BetaMS,
			s.Handshakes, s.FloorMS)
	}
	line("\nseconds\t%.1f", r.Seconds)
	for _, p := range r.Problems {
		line("PROBLEM\t%s", p)
	}
	return t.Flush()
}

// costTable writes what each phase cost a device.
func (r *Report) costTable(line func(format string, args ...any)) {
	line("\nper device, medians\tbytes\tdatagrams\treference, bytes")
	message := r.TransferMessageBytes + referenceMessage
	line("handshake with CA2\t%d\t%d\t%d (up to %.0f)", r.DeviceBytes.Handshake, r.DeviceMessages.Handshake,
		referenceHandshake, tolerance*referenceHandshake)
	line("enrolment /sen\t%d\t%d\t%d (up to %.0f)", r.DeviceBytes.Enrolment, r.DeviceMessages.Enrolment,
		referenceEnrolment, tolerance*referenceEnrolment)
	line("TransferMessage (%d) and answer\t%d\t%d\t%d (up to %.0f)", r.TransferMessageBytes, r.DeviceBytes.Transfer,
		r.DeviceMessages.Transfer, message, tolerance*float64(message))
	line("anchors staged\t%d\t%d\t", r.DeviceBytes.Anchors, r.DeviceMessages.Anchors)
	line("receipts\t%d\t%d\t", r.DeviceBytes.Receipts, r.DeviceMessages.Receipts)
	line("CA certificates /crts\t%d\t%d\t", r.DeviceBytes.Crts, r.DeviceMessages.Crts)
	if r.DeviceBytes.Renewal > 0 {
		line("fresh key /sren, with its handshake\t%d\t%d\t", r.DeviceBytes.Renewal, r.DeviceMessages.Renewal)
	}
	line("Register at Beta\t%d\t%d\t", r.DeviceBytes.Register, r.DeviceMessages.Register)
}
