package lwm2m

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxEntries is the number of leaf values that one message may hold. The
// largest objects in use have a few hundred; an Entry takes about eighty bytes
// while two bytes suffice to write one down.
const MaxEntries = 16384

// ErrDuplicate reports a message that gives a node two values, or a value to a
// node and to one below it.
var ErrDuplicate = errors.New("more than one value for a node")

// ErrPrefix reports a name under another root than the one asked for.
var ErrPrefix = errors.New("name under another root")

// A Pack is the content of a message whose names may have text in front of the
// path: the alternate path of a client (§6.2.1), or the prefix of a device
// behind a gateway.
type Pack struct {
	Entries []Entry
	// Prefixes belongs to Entries, index by index, and holds no slash at either
	// end. It is nil when no name has a prefix.
	Prefixes []string
}

// Prefix returns the text in front of the path of entry i, "" if there is none.
func (p Pack) Prefix(i int) string {
	if p.Prefixes == nil {
		return ""
	}
	return p.Prefixes[i]
}

// Add appends an entry below prefix.
func (p *Pack) Add(prefix string, e Entry) {
	if prefix != "" && p.Prefixes == nil {
		p.Prefixes = make([]string, len(p.Entries), cap(p.Entries))
	}
	p.Entries = append(p.Entries, e)
	if p.Prefixes != nil {
		p.Prefixes = append(p.Prefixes, prefix)
	}
}

// Under returns the entries if all of them stand below prefix; "" means none.
// It returns ErrPrefix otherwise.
func (p Pack) Under(prefix string) ([]Entry, error) {
	for i, e := range p.Entries {
		if p.Prefix(i) != prefix {
			return nil, fmt.Errorf("%w: %q before %s", ErrPrefix, p.Prefix(i), e.Path)
		}
	}
	return p.Entries, nil
}

// Distinct checks that every node has one value at most, or one for each time
// of measurement, and that no node with a value is above another. It returns
// ErrDuplicate.
func (p Pack) Distinct() error {
	if p.ascending() {
		return nil
	}
	order := make([]int, len(p.Entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, p.compare)
	for k := 1; k < len(order); k++ {
		i, j := order[k-1], order[k]
		if p.Prefix(i) == p.Prefix(j) && p.clash(i, j) {
			return fmt.Errorf("%w: %s", ErrDuplicate, p.Entries[j].Path)
		}
	}
	return nil
}

// ascending reports whether the entries are in order and distinct, as nearly
// all senders write them: then there is nothing to sort.
func (p Pack) ascending() bool {
	for i := 1; i < len(p.Entries); i++ {
		if p.Prefixes != nil || p.clash(i-1, i) || p.Entries[i-1].Path.Compare(p.Entries[i].Path) >= 0 {
			return false
		}
	}
	return true
}

func (p Pack) compare(i, j int) int {
	if c := strings.Compare(p.Prefix(i), p.Prefix(j)); c != 0 {
		return c
	}
	a, b := p.Entries[i], p.Entries[j]
	if c := a.Path.Compare(b.Path); c != 0 {
		return c
	}
	return a.Time.Compare(b.Time)
}

// clash reports whether two neighbours in order contradict each other.
func (p Pack) clash(i, j int) bool {
	a, b := p.Entries[i], p.Entries[j]
	if a.Path == b.Path {
		return a.Time.Equal(b.Time)
	}
	return a.Path.Contains(b.Path)
}
