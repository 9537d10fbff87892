package suit

import (
	"fmt"
	"math"
)

// An item is one encoded CBOR item that check has accepted.
type item []byte

func (i item) major() byte { return i[0] >> 5 }

// uint returns the value of an unsigned integer.
func (i item) uint() (uint64, error) {
	if major, n, err := (&reader{b: i}).head(); err == nil && major == majorUint {
		return n, nil
	}
	return 0, fmt.Errorf("%w: not an unsigned integer", ErrStructure)
}

// int returns the value of an integer that fits an int64.
func (i item) int() (int64, error) {
	major, n, err := (&reader{b: i}).head()
	if err != nil || major > majorNegative || n > math.MaxInt64 {
		return 0, fmt.Errorf("%w: not an integer", ErrStructure)
	}
	if major == majorNegative {
		return -1 - int64(n), nil
	}
	return int64(n), nil
}

// bytes returns the content of a byte string; never nil without an error.
func (i item) bytes() ([]byte, error) { return i.content(majorBytes, "byte string") }

// text returns the content of a text string.
func (i item) text() (string, error) {
	content, err := i.content(majorText, "text string")
	return string(content), err
}

func (i item) content(major byte, name string) ([]byte, error) {
	r := &reader{b: i}
	got, n, err := r.head()
	if err != nil || got != major {
		return nil, fmt.Errorf("%w: not a %s", ErrStructure, name)
	}
	return r.take(n, 0)
}

// bool returns the value of true or false.
func (i item) bool() (bool, error) {
	if len(i) == 1 && (i[0] == cborTrue || i[0] == cborFalse) {
		return i[0] == cborTrue, nil
	}
	return false, fmt.Errorf("%w: not a boolean", ErrStructure)
}

func (i item) null() bool { return len(i) == 1 && i[0] == cborNull }

// array returns the items of an array.
func (i item) array() ([]item, error) {
	r := &reader{b: i}
	n, err := r.count(majorArray)
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, n)
	for range n {
		raw, err := r.raw()
		if err != nil {
			return nil, err
		}
		items = append(items, raw)
	}
	return items, nil
}

// A pair is one member of a map.
type pair struct{ key, value item }

// pairs returns the members of a map in their order.
func (i item) pairs() ([]pair, error) {
	r := &reader{b: i}
	n, err := r.count(majorMap)
	if err != nil {
		return nil, err
	}
	pairs := make([]pair, 0, n)
	for range n {
		key, err := r.raw()
		if err != nil {
			return nil, err
		}
		value, err := r.raw()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{key: key, value: value})
	}
	return pairs, nil
}

// open checks the content of a byte string as an item of its own.
func (i item) open() (item, error) {
	content, err := i.bytes()
	if err != nil {
		return nil, err
	}
	if err := check(content); err != nil {
		return nil, err
	}
	return content, nil
}
