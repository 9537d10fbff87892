package transfer

import (
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// A DeviceState is a state of the device (§5). On the wire it is its number.
type DeviceState string

// The states of the device, in the order of their numbers.
const (
	Idle      DeviceState = "IDLE"
	Ready     DeviceState = "READY"
	Committed DeviceState = "COMMITTED"
	Wiped     DeviceState = "WIPED"
	Attest    DeviceState = "ATTEST"
	Updating  DeviceState = "UPDATE"
	Enrolling DeviceState = "ENROL"
	Register  DeviceState = "REGISTER"
	Done      DeviceState = "DONE"
	Finalised DeviceState = "FINALISED" // IDLE of the new domain
	InFall    DeviceState = "FALLBACK"
	FellBack  DeviceState = "FELL_BACK" // IDLE at the former provider
	Expired   DeviceState = "EXPIRED"   // IDLE, pending anchors dropped
)

var deviceStates = []DeviceState{
	Idle, Ready, Committed, Wiped, Attest, Updating, Enrolling, Register, Done, Finalised, InFall, FellBack, Expired,
}

// DeviceStates returns all states in the order of their numbers.
func DeviceStates() []DeviceState { return slices.Clone(deviceStates) }

// DeviceStateOf returns the state with number n, or ErrValue.
func DeviceStateOf(n uint64) (DeviceState, error) {
	if n >= uint64(len(deviceStates)) {
		return "", fmt.Errorf("transfer: state %d: %w", n, ErrValue)
	}
	return deviceStates[n], nil
}

// Number returns the number of label 20 and of resource State; 0 if s is none.
func (s DeviceState) Number() uint8 {
	return uint8(max(slices.Index(deviceStates, s), 0)) //nolint:gosec // 13 states
}

// AtRest reports whether s is IDLE or one of its equals: a message may be
// accepted, and the device serves the provider of its current domain.
func (s DeviceState) AtRest() bool {
	return s == Idle || s == Finalised || s == FellBack || s == Expired
}

// MarshalCBOR encodes the number.
func (s DeviceState) MarshalCBOR() ([]byte, error) { return strict.Marshal(s.Number()) }

// UnmarshalCBOR decodes a number.
func (s *DeviceState) UnmarshalCBOR(raw []byte) error {
	var n uint64
	if err := strict.Unmarshal(raw, &n); err != nil {
		return err
	}
	state, err := DeviceStateOf(n)
	*s = state
	return err
}

var _ interface {
	cbor.Marshaler
	cbor.Unmarshaler
} = (*DeviceState)(nil)
