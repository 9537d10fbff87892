package author

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// maxYAMLDepth is how deep a description in YAML nests: texts of a component need
// five levels.
const maxYAMLDepth = 16

// readYAML reads a description in YAML as strictly as one in JSON: one document,
// known members, each once. Anchors and aliases are refused, for a short text with
// them can stand for a very long one.
func readYAML(raw []byte) (d description, err error) {
	var root yaml.Node
	if err := yaml.Load(raw, &root); err != nil {
		return d, err
	}
	if err := plainYAML(&root, 0); err != nil {
		return d, err
	}
	return d, yaml.Load(raw, &d, yaml.WithKnownFields(), yaml.WithUniqueKeys())
}

// plainYAML refuses what has no counterpart in JSON.
func plainYAML(n *yaml.Node, depth int) error {
	switch {
	case depth > maxYAMLDepth:
		return errors.New("nested too deep")
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge":
		return fmt.Errorf("line %d: anchors, aliases and merges are not taken", n.Line)
	}
	for _, child := range n.Content {
		if err := plainYAML(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}
