package transfer

import (
	"errors"
	"time"
)

// The reasons for which the status of a right is not believed.
var (
	// ErrRight reports a status that is not of this device, not of now, or does not say
	// what was claimed.
	ErrRight = errors.New("the status of the right does not prove it")
	// ErrRightKey reports that the other CA has enrolled another key than that of the
	// READY receipt.
	ErrRightKey = errors.New("the other CA has enrolled another key than that of READY")
)

// RightStatusAge is how old the status of a right may be: two clocks and an answer.
const RightStatusAge = 2 * ClockSkew

// RightContext is what the outgoing provider holds the status of the other CA's right
// against (§7, "Complete lost").
type RightContext struct {
	Factory Hash // of the device's factory certificate
	SPKI    Hash // of the READY receipt; zero: not known
	// Renewed says that the device may have renewed its certificate since, with a key
	// that no receipt names (§4, step 11).
	Renewed bool
	Now     time.Time
}

// CompareRight checks that a verified status is of the device's right, and fresh. It
// returns ErrRight with what differs.
func CompareRight(s *RightStatus, c RightContext) error {
	age := c.Now.Sub(s.IssuedAt.Time())
	return firstFalse(ErrRight, []claim{
		{s.Factory == c.Factory, "device"},
		{age <= RightStatusAge && age >= -RightStatusAge, "time"},
	})
}

// CompareEnrolled checks that by a verified status the other CA has enrolled the device:
// it names the certificate (label 29). It returns ErrRight or ErrRightKey.
func CompareEnrolled(s *RightStatus, c RightContext) error {
	if err := CompareRight(s, c); err != nil {
		return err
	}
	err := firstFalse(ErrRight, []claim{
		{s.State == RightConsumed, "state"},
		{!s.Issued.IsZero(), "certificate"},
	})
	if err != nil {
		return err
	}
	return firstFalse(ErrRightKey, []claim{
		{s.SPKI == c.SPKI || c.SPKI.IsZero() || c.Renewed, "key"},
	})
}

// CompareClosed checks that by a verified status the other CA does not enrol the device,
// and no longer vouches for what it had issued to it. It returns ErrRight.
func CompareClosed(s *RightStatus, c RightContext) error {
	if err := CompareRight(s, c); err != nil {
		return err
	}
	return firstFalse(ErrRight, []claim{
		{s.State == RightClosed, "still open"},
	})
}
