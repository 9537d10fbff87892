package suit

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxVersion is the number of integers in a version: three, a pre-release
// indicator, and what follows it.
const maxVersion = 16

// A Version is a semantic version (draft-ietf-suit-update-management): release
// numbers, then perhaps a pre-release indicator (-1 release candidate, -2 beta,
// -3 alpha) with numbers of its own.
type Version []int64

// A Comparison relates the version of a component to another.
type Comparison int64

// The comparisons.
const (
	Greater      Comparison = 1
	GreaterEqual Comparison = 2
	Equal        Comparison = 3
	LesserEqual  Comparison = 4
	Lesser       Comparison = 5
)

// String returns the operator, such as ">=".
func (c Comparison) String() string {
	if c < Greater || c > Lesser {
		return strconv.FormatInt(int64(c), 10)
	}
	return []string{">", ">=", "=", "<=", "<"}[c-Greater]
}

// A VersionMatch is the value of parameter version.
type VersionMatch struct {
	Comparison Comparison
	Version    Version
}

// Holds reports whether v is as m wants it. Numbers are compared one by one until
// two differ or those of m are used up, so that "= 1" matches every 1.x; numbers
// that v lacks count as zero.
func (m VersionMatch) Holds(v Version) bool {
	order := 0
	for i, want := range m.Version {
		var have int64
		if i < len(v) {
			have = v[i]
		}
		if order = cmp.Compare(have, want); order != 0 {
			break
		}
	}
	switch m.Comparison {
	case Greater:
		return order > 0
	case GreaterEqual:
		return order >= 0
	case Equal:
		return order == 0
	case LesserEqual:
		return order <= 0
	case Lesser:
		return order < 0
	}
	return false
}

// String returns for example ">= 1.2".
func (m VersionMatch) String() string { return m.Comparison.String() + " " + m.Version.String() }

// String returns for example "1.2-rc.3".
func (v Version) String() string {
	names := map[int64]string{-1: "-rc", -2: "-beta", -3: "-alpha"}
	var b strings.Builder
	for i, n := range v {
		if name, ok := names[n]; ok {
			b.WriteString(name)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.FormatInt(n, 10))
	}
	return b.String()
}

// versionText is the grammar of versions as String writes them.
var versionText = regexp.MustCompile(`^(\d{1,9}(?:\.\d{1,9}){0,2})(?:-(rc|beta|alpha)((?:\.\d{1,9}){0,4}))?$`)

// ParseVersion reads a version such as "1.2.3" or "1.2-rc.3", or returns
// ErrStructure.
func ParseVersion(text string) (Version, error) {
	parts := versionText.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%w: version %q", ErrStructure, text)
	}
	numbers := func(list string) (v Version) {
		for digits := range strings.SplitSeq(list, ".") {
			if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
				v = append(v, n)
			}
		}
		return v
	}
	v := numbers(parts[1])
	if parts[2] != "" {
		v = append(v, map[string]int64{"rc": -1, "beta": -2, "alpha": -3}[parts[2]])
	}
	return append(v, numbers(parts[3])...), nil
}

// Encode returns the array of v.
func (v Version) Encode() []byte {
	b := appendHead(nil, majorArray, uint64(len(v)))
	for _, n := range v {
		b = appendInt(b, n)
	}
	return b
}

// Encode returns the array of m.
func (m VersionMatch) Encode() []byte {
	return append(appendInt(appendHead(nil, majorArray, 2), int64(m.Comparison)), m.Version.Encode()...)
}

// versionOf reads a list of integers, of which one may be a pre-release
// indicator, though not the first.
func versionOf(i item) (Version, error) {
	members, err := i.array()
	if err != nil || len(members) == 0 || len(members) > maxVersion {
		return nil, fmt.Errorf("%w: version of %d numbers", ErrStructure, len(members))
	}
	v := make(Version, 0, len(members))
	for _, m := range members {
		n, err := m.int()
		if err != nil {
			return nil, fmt.Errorf("version: %w", err)
		}
		v = append(v, n)
	}
	negative := slices.DeleteFunc(slices.Clone(v), func(n int64) bool { return n >= 0 })
	if v[0] < 0 || len(negative) > 1 || len(negative) == 1 && negative[0] < -3 {
		return nil, fmt.Errorf("%w: version %v", ErrStructure, []int64(v))
	}
	return v, nil
}

func versionMatchOf(i item) (m VersionMatch, err error) {
	members, err := i.array()
	if err != nil || len(members) != 2 {
		return m, fmt.Errorf("%w: not a comparison and a version", ErrStructure)
	}
	c, err := members[0].int()
	if m.Comparison = Comparison(c); err != nil || m.Comparison < Greater || m.Comparison > Lesser {
		return m, fmt.Errorf("%w: version comparison %d", ErrStructure, c)
	}
	m.Version, err = versionOf(members[1])
	return m, err
}
