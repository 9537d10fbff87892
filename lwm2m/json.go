package lwm2m

import (
	"encoding/json"
	"fmt"
)

// MarshalText implements encoding.TextMarshaler: "/3/0/9".
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It returns ErrPath.
func (p *Path) UnmarshalText(text []byte) (err error) {
	*p, err = ParseNode(string(text))
	return err
}

// valueJSON is a Value in JSON, without loss.
type valueJSON struct {
	Kind  string `json:"kind"`
	Plain string `json:"plain"`
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	return json.Marshal(valueJSON{v.Kind().String(), v.Plain()})
}

// UnmarshalJSON implements json.Unmarshaler. It returns ErrValue.
func (v *Value) UnmarshalJSON(text []byte) (err error) {
	var in valueJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	k, _ := ParseKind(in.Kind)
	if k == KindNone {
		*v = Value{}
		return nil
	}
	*v, err = ParseValue(k, in.Plain)
	return err
}
