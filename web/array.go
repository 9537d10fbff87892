package web

import "encoding/json"

// An Array is a slice that is [] in JSON when it is nil, never null.
type Array[T any] []T

// MarshalJSON implements json.Marshaler.
func (a Array[T]) MarshalJSON() ([]byte, error) {
	if a == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(a))
}

// Counts says how many are in each state. It is {} in JSON when it is nil.
type Counts map[string]int

// MarshalJSON implements json.Marshaler.
func (c Counts) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]int(c))
}
