package attest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A Tier is how far a device can be trusted (draft-ietf-rats-ear, trust tier).
type Tier uint8

// The tiers, as transfers number them.
const (
	TierNone            Tier = 0
	TierAffirming       Tier = 1
	TierWarning         Tier = 2
	TierContraindicated Tier = 3
)

// String returns the tier's name in attestation results.
func (t Tier) String() string {
	names := [...]string{"none", "affirming", "warning", "contraindicated"}
	if int(t) < len(names) {
		return names[t]
	}
	return "unknown"
}

// A Claim is one value of a trustworthiness vector (draft-ietf-rats-ar4si §2.3).
type Claim int8

// The values that Appraise gives, and the bounds of tiers.
const (
	ClaimNone            Claim = 0 // no statement
	ClaimAffirming       Claim = 2
	ClaimWarning         Claim = 32
	ClaimContraindicated Claim = 96
)

// Tier returns the tier that a value lies in.
func (c Claim) Tier() Tier {
	switch {
	case c >= ClaimContraindicated || c <= -ClaimContraindicated:
		return TierContraindicated
	case c >= ClaimWarning || c <= -ClaimWarning:
		return TierWarning
	case c >= ClaimAffirming || c < -1:
		return TierAffirming
	default:
		return TierNone
	}
}

// A Vector is the trustworthiness vector, as far as this verifier can judge. It
// says nothing of file systems, hardware, memory and storage.
type Vector struct {
	Identity      Claim `cbor:"0,keyasint"` // instance identity
	Configuration Claim `cbor:"1,keyasint"`
	Executables   Claim `cbor:"2,keyasint"`
}

// Tier returns the worst tier of the vector.
func (v Vector) Tier() Tier {
	return max(v.Identity.Tier(), v.Configuration.Tier(), v.Executables.Tier())
}

// A Reference is a digest that a component may have.
type Reference struct {
	Component []byte // SUIT component identifier, encoded; nil: any
	Digest    Digest
}

// An Expectation is what evidence of one device is held against. Zero hashes are
// not compared.
type Expectation struct {
	Device     Hash
	Key        Hash // SPKI of the key that the device is to have certified
	Message    Hash
	Truststore Hash
	BootCount  uint64 // at least
	References []Reference
	// Components must all be measured; nil: whatever the device names.
	Components [][]byte
	// AllowDebug and AllowAnyBoot turn what speaks against a device into a warning.
	AllowDebug   bool
	AllowAnyBoot bool
}

// An Appraisal is what came of it.
type Appraisal struct {
	Vector  Vector
	Reasons []string // what speaks against the device, in words; none: nothing does
}

// Tier returns the outcome.
func (a *Appraisal) Tier() Tier { return a.Vector.Tier() }

// Reason returns all reasons in one line of at most 255 bytes.
func (a *Appraisal) Reason() string {
	text := strings.Join(a.Reasons, "; ")
	if text == "" {
		text = "all measurements are as expected"
	}
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}

func (a *Appraisal) note(claim *Claim, value Claim, holds bool, format string, args ...any) {
	if holds {
		*claim = max(*claim, ClaimAffirming)
		return
	}
	*claim = max(*claim, value)
	a.Reasons = append(a.Reasons, fmt.Sprintf(format, args...))
}

// Appraise holds verified evidence against what is expected. Whatever differs
// speaks against the device; what is not known fails closed.
func Appraise(e *Evidence, x Expectation) Appraisal {
	var a Appraisal
	v := &a.Vector
	a.note(&v.Identity, ClaimContraindicated, e.Device == x.Device, "evidence of another device")
	if x.Key != (Hash{}) {
		spki, err := SPKI(e.Key)
		a.note(&v.Identity, ClaimContraindicated, err == nil && spki == x.Key, "key is not that of the receipt")
	}
	if x.Message != (Hash{}) {
		a.note(&v.Identity, ClaimContraindicated, e.Message == x.Message, "evidence for another transfer message")
	}
	a.note(&v.Identity, ClaimContraindicated, e.BootCount >= x.BootCount,
		"boot count fell from %d to %d", x.BootCount, e.BootCount)
	if x.Truststore != (Hash{}) {
		a.note(&v.Configuration, ClaimContraindicated, e.Truststore == x.Truststore, "truststore differs")
	}
	a.note(&v.Configuration, severity(x.AllowDebug), e.Debug != DebugEnabled, "debug facilities are enabled")
	a.note(&v.Configuration, severity(x.AllowAnyBoot), e.OEMBoot, "boots images of anybody")
	a.executables(e, x)
	return a
}

func severity(tolerated bool) Claim {
	if tolerated {
		return ClaimWarning
	}
	return ClaimContraindicated
}

func (a *Appraisal) executables(e *Evidence, x Expectation) {
	claim := &a.Vector.Executables
	a.note(claim, ClaimContraindicated, len(x.References) > 0, "no reference values")
	for _, id := range x.Components {
		measured := slices.ContainsFunc(e.Components, func(c Component) bool { return bytes.Equal(c.ID, id) })
		a.note(claim, ClaimContraindicated, measured, "component %x is not measured", id)
	}
	for _, c := range e.Components {
		approved := slices.ContainsFunc(x.References, func(r Reference) bool {
			return (r.Component == nil || bytes.Equal(r.Component, c.ID)) && r.Digest.Equal(c.Digest)
		})
		a.note(claim, ClaimContraindicated, approved, "component %x holds %s…, which no release in force has",
			c.ID, hex.EncodeToString(c.Digest.Value[:min(len(c.Digest.Value), 8)]))
	}
}
