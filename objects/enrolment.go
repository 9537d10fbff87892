package objects

import (
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/objects/registry"
)

// Resources of Enrolment, whose object id is IDs.Enrolment: how the device gets
// its certificates (transfer protocol §3).
const (
	EnrolmentURI          = 0
	EnrolmentCSRFormat    = 1
	EnrolmentEnrol        = 2
	EnrolmentState        = 3
	EnrolmentError        = 4
	EnrolmentThumbprint   = 5
	EnrolmentNotAfter     = 6
	EnrolmentRenewBefore  = 7
	EnrolmentKeyOrigin    = 8
	EnrolmentPermanentURI = 9
	EnrolmentFactory      = 10
	EnrolmentNonce        = 11 // of an attestation verifier; Evidence answers it
	EnrolmentEvidence     = 12
	EnrolmentFactoryProof = 13
)

// Arguments of Execute on EnrolmentEnrol.
const (
	EnrolOperational = 0
	EnrolFactory     = 1 // re-key of the factory certificate
)

// Values of EnrolmentState.
const (
	EnrolmentNone    = 0 // no certificate yet
	EnrolmentGood    = 1
	EnrolmentAsks    = 2 // a renewal is under way
	EnrolmentProving = 3 // a new certificate is there; the one before is kept until the new one has served
	EnrolmentFailed  = 4 // the last renewal failed; the certificate is kept
)

// Values of EnrolmentKeyOrigin: who made the key of the factory certificate.
const (
	KeyOriginDevice    = 0
	KeyOriginProvider  = 1 // the service provider; also where the resource is absent
	KeyOriginPermanent = 2 // the permanent CA
)

// An EnrolmentFault is a value of EnrolmentError. From 64 on it is the CoAP code
// with which the enrolment server refused (RFC 7252 §12.1).
type EnrolmentFault int64

// The faults that are no CoAP codes.
const (
	FaultNone        EnrolmentFault = 0
	FaultUnreachable EnrolmentFault = 1 // the enrolment server, or it could not prove itself
	FaultCertificate EnrolmentFault = 2 // what was issued is of no use
	FaultUnproven    EnrolmentFault = 3 // the server refused the new certificate; the one before is in use again
)

// String returns the fault in words.
func (f EnrolmentFault) String() string {
	const class, detail = 5, 0x1f // bits of a CoAP code
	switch {
	case f == FaultNone:
		return "no fault"
	case f == FaultUnreachable:
		return "the enrolment server could not be reached or did not prove itself"
	case f == FaultCertificate:
		return "the certificate that was issued is of no use"
	case f == FaultUnproven:
		return "the new certificate was refused; the one before is in use again"
	case f >= 1<<(class+1) && f <= 0xff:
		return fmt.Sprintf("the enrolment server refused with %d.%02d", int64(f)>>class, int64(f)&detail)
	}
	return fmt.Sprintf("error %d", int64(f))
}

// Enrolment is what a server can read of Enrolment.
type Enrolment struct {
	URI          string
	CSRFormat    CertificateFormat
	State        int64
	Error        int64
	Thumbprint   []byte    // of the operational certificate; nil: none yet
	NotAfter     time.Time // of the operational certificate; zero: none yet
	RenewBefore  *uint64   // seconds before NotAfter; nil: the device's choice
	KeyOrigin    *int64    // who made the factory key; nil: the service provider
	PermanentURI string    // enrolment URI of the permanent CA
	// Factory is the factory certificate, DER: that which is to take the place of the
	// one in force, if the device waits for its server to know it. Nil: not told.
	Factory []byte
	// FactoryProof is what the key of the factory certificate in force has signed of that
	// which is to take its place: the COSE_Sign1 of the request to the permanent CA. Nil:
	// there is none, or it is not told.
	FactoryProof []byte
	// Evidence is what the device proves of what it runs, for the nonce that was
	// written last (RFC 9711); nil: no nonce was written since it started.
	Evidence []byte
}

func (e *Enrolment) fields() []field {
	return []field{
		single(EnrolmentURI, &e.URI, text()),
		single(EnrolmentCSRFormat, &e.CSRFormat, integer[CertificateFormat]()),
		single(EnrolmentState, &e.State, integer[int64]()),
		single(EnrolmentError, &e.Error, integer[int64]()),
		opaque(EnrolmentThumbprint, &e.Thumbprint),
		nonzero(EnrolmentNotAfter, &e.NotAfter, moment()),
		optional(EnrolmentRenewBefore, &e.RenewBefore, unsigned[uint64]()),
		optional(EnrolmentKeyOrigin, &e.KeyOrigin, integer[int64]()),
		nonzero(EnrolmentPermanentURI, &e.PermanentURI, text()),
		opaque(EnrolmentFactory, &e.Factory),
		opaque(EnrolmentEvidence, &e.Evidence),
		opaque(EnrolmentFactoryProof, &e.FactoryProof),
	}
}

// DecodeEnrolment reads the instance at base.
func DecodeEnrolment(base lwm2m.Path, entries []lwm2m.Entry) (Enrolment, error) {
	return decode(base, entries, (*Enrolment).fields)
}

// Entries returns e as the instance at base.
func (e Enrolment) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, e.fields()) }

func enrolmentResources() []registry.Resource {
	renewBefore := resource(EnrolmentRenewBefore, "Renew Before", opRW, lwm2m.KindUnsigned, false)
	renewBefore.Units = "s"
	return []registry.Resource{
		resource(EnrolmentURI, "Enrolment URI", opRW, lwm2m.KindString, true),
		resource(EnrolmentCSRFormat, "CSR Format", opRW, lwm2m.KindInteger, true),
		resource(EnrolmentEnrol, "Enrol", opE, lwm2m.KindNone, true),
		resource(EnrolmentState, "State", opR, lwm2m.KindInteger, true),
		resource(EnrolmentError, "Error", opR, lwm2m.KindInteger, true),
		resource(EnrolmentThumbprint, "Certificate Thumbprint", opR, lwm2m.KindOpaque, false),
		resource(EnrolmentNotAfter, "Not After", opR, lwm2m.KindTime, false),
		renewBefore,
		resource(EnrolmentKeyOrigin, "Key Origin", opR, lwm2m.KindInteger, false),
		resource(EnrolmentPermanentURI, "Permanent CA URI", opR, lwm2m.KindString, false),
		resource(EnrolmentFactory, "Factory Certificate", opR, lwm2m.KindOpaque, false),
		resource(EnrolmentNonce, "Attestation Nonce", opW, lwm2m.KindOpaque, false),
		resource(EnrolmentEvidence, "Attestation Evidence", opR, lwm2m.KindOpaque, false),
		resource(EnrolmentFactoryProof, "Factory Proof", opR, lwm2m.KindOpaque, false),
	}
}
