package server

import (
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
)

// maxNodes is the number of nodes of one composite operation: far more than
// devices accept.
const maxNodes = 64

// A Target is what an observation is of: one node (§6.4.1), or several at once
// (§6.4.4), with the attributes that it is to have. Targets are comparable.
type Target struct {
	node  lwm2m.Path // of one node
	nodes string     // of several: their texts, separated by commas; "": there is one
	query string     // attributes as Uri-Query options, separated by "&"
}

// Node returns the target that is the node at p.
func Node(p lwm2m.Path) Target { return Target{node: p} }

// Nodes returns the target of a composite observation, in the order of paths. It
// returns lwm2m.ErrPath if there are none, too many, or one is there twice.
func Nodes(paths []lwm2m.Path) (Target, error) {
	if err := several(paths); err != nil {
		return Target{}, err
	}
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = p.String()
	}
	return Target{nodes: strings.Join(texts, ",")}, nil
}

// several checks the paths of a composite operation.
func several(paths []lwm2m.Path) error {
	if len(paths) == 0 || len(paths) > maxNodes {
		return fmt.Errorf("%w: %d nodes at once, want 1 to %d", lwm2m.ErrPath, len(paths), maxNodes)
	}
	if err := oneDevice(paths); err != nil {
		return err
	}
	seen := make(map[lwm2m.Path]bool, len(paths))
	for _, p := range paths {
		if seen[p] {
			return fmt.Errorf("%w: %s twice", lwm2m.ErrPath, p)
		}
		seen[p] = true
	}
	return nil
}

// ParseTarget reads what Names and Query wrote. It returns lwm2m.ErrPath,
// lwm2m.ErrQuery or lwm2m.ErrAttribute.
func ParseTarget(names, query string) (Target, error) {
	t, err := parseNames(names)
	if err != nil || query == "" {
		return t, err
	}
	return t.With(strings.Split(query, "&"))
}

func parseNames(names string) (Target, error) {
	list, composite := strings.CutPrefix(names, compositeMark)
	if !composite {
		p, err := lwm2m.ParseNode(names)
		return Node(p), err
	}
	var paths []lwm2m.Path
	for text := range strings.SplitSeq(list, ",") {
		p, err := lwm2m.ParseNode(text)
		if err != nil {
			return Target{}, err
		}
		paths = append(paths, p)
	}
	return Nodes(paths)
}

// compositeMark is in front of the names of a composite target.
const compositeMark = "+"

// With returns t with these attributes, "pmin=10" and so on, in place of others. It
// returns lwm2m.ErrQuery, or lwm2m.ErrAttribute for those that contradict each
// other or that an observation cannot have.
func (t Target) With(query []string) (Target, error) {
	a, err := lwm2m.ParseAttributes(query)
	if err == nil {
		err = a.Check()
	}
	if err != nil {
		return t, err
	}
	for _, x := range a {
		if x.Unset || t.Composite() && !compositeAttribute(x.Name) {
			return t, fmt.Errorf("%w: %s of an observation", lwm2m.ErrAttribute, x)
		}
	}
	t.query = strings.Join(a.Query(), "&")
	return t, nil
}

// compositeAttribute reports whether a composite observation can have the attribute
// (§6.4.4).
func compositeAttribute(name string) bool {
	switch name {
	case lwm2m.AttributePmin, lwm2m.AttributePmax, lwm2m.AttributeEpmin, lwm2m.AttributeEpmax, lwm2m.AttributeCon:
		return true
	}
	return false
}

// Composite reports whether t is of several nodes at once.
func (t Target) Composite() bool { return t.nodes != "" }

// Paths returns the nodes of t.
func (t Target) Paths() []lwm2m.Path {
	if !t.Composite() {
		return []lwm2m.Path{t.node}
	}
	var out []lwm2m.Path
	for text := range strings.SplitSeq(t.nodes, ",") {
		p, _ := lwm2m.ParseNode(text) // written by Nodes
		out = append(out, p)
	}
	return out
}

// Contains reports whether p is a node of t or below one.
func (t Target) Contains(p lwm2m.Path) bool {
	return slices.ContainsFunc(t.Paths(), func(q lwm2m.Path) bool { return q.Contains(p) })
}

// Names returns the nodes of t as ParseTarget reads them: "/3/0/9", or
// "+/3/0/9,/1/0" of several.
func (t Target) Names() string {
	if t.Composite() {
		return compositeMark + t.nodes
	}
	return t.node.String()
}

// Query returns the attributes of t, "" for none.
func (t Target) Query() string { return t.query }

// Options returns the attributes of t as Uri-Query options.
func (t Target) Options() []string {
	if t.query == "" {
		return nil
	}
	return strings.Split(t.query, "&")
}

// String returns t for people.
func (t Target) String() string {
	text := t.node.String()
	if t.Composite() {
		text = strings.ReplaceAll(t.nodes, ",", " and ")
	}
	if t.query != "" {
		text += " with " + t.query
	}
	return text
}

// bare returns t without attributes: what two observations of a device never share.
func (t Target) bare() Target {
	t.query = ""
	return t
}

// check checks the target for an observation: nothing but a composite one names the
// root.
func (t Target) check() error {
	if t.Composite() {
		return nil
	}
	return deep(t.node, 1, lwm2m.MaxDepth)
}
