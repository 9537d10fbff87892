package suit

import "fmt"

// A WaitEvent is what directive-wait can wait for
// (draft-ietf-suit-update-management §5).
type WaitEvent int64

// The events.
const (
	WaitAuthorization      WaitEvent = 1 // priority
	WaitPower              WaitEvent = 2 // power level
	WaitNetwork            WaitEvent = 3 // network state
	WaitOtherDeviceVersion WaitEvent = 4
	WaitTime               WaitEvent = 5 // seconds since 1970
	WaitTimeOfDay          WaitEvent = 6 // seconds since midnight, local time
	WaitDayOfWeek          WaitEvent = 7 // days since Sunday, local time
	WaitTimeOfDayUTC       WaitEvent = 8
	WaitDayOfWeekUTC       WaitEvent = 9
)

// A Wait is the value of parameter wait-info: each event with its argument.
type Wait struct {
	// Events hold the events whose argument is a number.
	Events map[WaitEvent]int64
	// Other is the other device of WaitOtherDeviceVersion, nil for none, and
	// Versions are what its version must match.
	Other    []byte
	Versions []VersionMatch
}

// Encode returns the map of w.
func (w Wait) Encode() []byte {
	pairs := make([]pair, 0, len(w.Events)+1)
	for event, n := range w.Events {
		pairs = append(pairs, pair{key: intKey(int64(event)), value: appendInt(nil, n)})
	}
	if w.Other != nil {
		b := appendBytes(appendHead(nil, majorArray, 2), w.Other)
		b = appendHead(b, majorArray, uint64(len(w.Versions)))
		for _, v := range w.Versions {
			b = append(b, v.Encode()...)
		}
		pairs = append(pairs, pair{key: intKey(int64(WaitOtherDeviceVersion)), value: b})
	}
	return appendMap(nil, pairs)
}

func waitOf(i item) (Wait, error) {
	w := Wait{Events: map[WaitEvent]int64{}}
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 {
		return w, fmt.Errorf("%w: wait-info is not a map with entries", ErrStructure)
	}
	for _, p := range pairs {
		n, err := p.key.int()
		event := WaitEvent(n)
		if err != nil || event < WaitAuthorization || event > WaitDayOfWeekUTC {
			return w, fmt.Errorf("%w: wait event %d", ErrStructure, n)
		}
		if event == WaitOtherDeviceVersion {
			if err := w.other(p.value); err != nil {
				return w, err
			}
			continue
		}
		n, err = p.value.int()
		if err != nil || event >= WaitTime && n < 0 {
			return w, fmt.Errorf("%w: argument of wait event %d", ErrStructure, event)
		}
		w.Events[event] = n
	}
	return w, nil
}

// other reads the argument of WaitOtherDeviceVersion.
func (w *Wait) other(i item) error {
	members, err := i.array()
	if err != nil || len(members) != 2 {
		return fmt.Errorf("%w: not a device and its versions", ErrStructure)
	}
	if w.Other, err = members[0].bytes(); err != nil {
		return err
	}
	list, err := members[1].array()
	if err != nil || len(list) == 0 || len(list) > maxVersion {
		return fmt.Errorf("%w: %d versions of another device", ErrStructure, len(list))
	}
	for _, one := range list {
		m, err := versionMatchOf(one)
		if err != nil {
			return err
		}
		w.Versions = append(w.Versions, m)
	}
	return nil
}
