package lwm2m

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// ErrAttribute reports a notification attribute that does not exist, has an
// unusable value, contradicts another or does not apply to its node; on the
// wire it is 4.00 (§7.3.2).
var ErrAttribute = errors.New("unusable attribute")

// The notification attributes of §7.3.2, with the unit of their values.
const (
	AttributePmin  = "pmin"  // seconds between notifications, at least
	AttributePmax  = "pmax"  // seconds between notifications, at most; 0: no limit
	AttributeGt    = "gt"    // notify when the value crosses this
	AttributeLt    = "lt"    // notify when the value crosses this
	AttributeSt    = "st"    // notify when the value has moved this far
	AttributeEpmin = "epmin" // seconds between evaluations, at least
	AttributeEpmax = "epmax" // seconds between evaluations, at most
	AttributeEdge  = "edge"  // 0: notify on the falling edge, 1: on the rising
	AttributeCon   = "con"   // 1: notifications are confirmable
	AttributeHqmax = "hqmax" // records kept while the server cannot be reached
)

// maxSeconds bounds periods and counts: they are 32-bit on many devices.
const maxSeconds = math.MaxUint32

// An Attribute is one notification attribute as written or discovered.
type Attribute struct {
	Name  string
	Value float64
	Unset bool // "pmin" alone: whatever was set at this node is removed
}

// Attributes are those of one node for one server, in the order written.
type Attributes []Attribute

// ParseAttributes reads the query of a Write-Attributes or Observe operation.
// It returns ErrQuery, or ErrAttribute for names and values that §7.3.2 does
// not know; Check is a separate step, for attributes accumulate.
func ParseAttributes(options []string) (Attributes, error) {
	query, err := ParseQuery(options)
	if err != nil {
		return nil, err
	}
	out := make(Attributes, 0, len(query))
	for _, p := range query {
		a, err := ParseAttribute(p.Name, p.Value, p.HasValue)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// ParseAttribute reads one attribute, from a query or a discovered link.
// It returns ErrAttribute.
func ParseAttribute(name, value string, hasValue bool) (Attribute, error) {
	a := Attribute{Name: name, Unset: !hasValue}
	if !hasValue {
		return a, a.check()
	}
	v, err := parseFloat(value)
	if err != nil {
		return Attribute{}, fmt.Errorf("%w: %s=%q", ErrAttribute, name, value)
	}
	a.Value, _ = v.Float64()
	return a, a.check()
}

// check judges the attribute by itself.
func (a Attribute) check() error {
	ok := true
	switch a.Name {
	case AttributeGt, AttributeLt:
	case AttributeSt:
		ok = a.Value >= 0
	case AttributePmin, AttributePmax, AttributeEpmin, AttributeEpmax, AttributeHqmax:
		ok = a.Value >= 0 && a.Value <= maxSeconds && a.Value == math.Trunc(a.Value)
	case AttributeEdge, AttributeCon:
		ok = a.Value == 0 || a.Value == 1
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("%w: %s", ErrAttribute, a)
	}
	return nil
}

// String returns the attribute as a Uri-Query option.
func (a Attribute) String() string {
	if a.Unset {
		return a.Name
	}
	return a.Name + "=" + strconv.FormatFloat(a.Value, 'f', -1, 64)
}

// Query returns the attributes as Uri-Query options.
func (a Attributes) Query() []string {
	out := make([]string, len(a))
	for i, x := range a {
		out[i] = x.String()
	}
	return out
}

// Get returns the value of the attribute called name and whether it is set.
func (a Attributes) Get(name string) (float64, bool) {
	for _, x := range a {
		if x.Name == name && !x.Unset {
			return x.Value, true
		}
	}
	return 0, false
}

// Apply returns the attributes of a node after change was written to it: set
// ones replaced or added, unset ones gone. Neither operand is modified.
func (a Attributes) Apply(change Attributes) Attributes {
	out := slices.Clone(a)
	for _, c := range change {
		out = slices.DeleteFunc(out, func(x Attribute) bool { return x.Name == c.Name })
		if !c.Unset {
			out = append(out, c)
		}
	}
	return out
}

// Check judges the whole set (§7.3.2): lt < gt, lt + 2·st < gt, epmin < epmax.
// A pmax below pmin is no error, for it is ignored. It returns ErrAttribute.
func (a Attributes) Check() error {
	for _, x := range a {
		if err := x.check(); err != nil {
			return err
		}
	}
	gt, hasGt := a.Get(AttributeGt)
	lt, hasLt := a.Get(AttributeLt)
	st, _ := a.Get(AttributeSt)
	if hasGt && hasLt && lt+2*st >= gt {
		return fmt.Errorf("%w: lt=%v, st=%v, gt=%v", ErrAttribute, lt, st, gt)
	}
	epmin, hasMin := a.Get(AttributeEpmin)
	epmax, hasMax := a.Get(AttributeEpmax)
	if hasMin && hasMax && epmin >= epmax {
		return fmt.Errorf("%w: epmin=%v, epmax=%v", ErrAttribute, epmin, epmax)
	}
	return nil
}

// Applicable checks that the attributes may be attached to the node at p, whose
// leaf has kind (KindNone: unknown): thresholds to numbers, edges to Booleans,
// periods to everything but the root. It returns ErrAttribute.
func (a Attributes) Applicable(p Path, kind Kind) error {
	for _, x := range a {
		ok := p.Len() > 0
		switch x.Name {
		case AttributeGt, AttributeLt, AttributeSt:
			ok = p.Len() >= 3 && (kind == KindNone || kind.numeric())
		case AttributeEdge:
			ok = p.Len() >= 3 && (kind == KindNone || kind == KindBoolean)
		}
		if !ok {
			return fmt.Errorf("%w: %s on %s (%s)", ErrAttribute, x.Name, p, kind)
		}
	}
	return nil
}

func (k Kind) numeric() bool {
	return k == KindInteger || k == KindUnsigned || k == KindFloat || k == KindTime
}
