package suit

import (
	"fmt"
	"regexp"
	"slices"
)

// A Text describes a manifest in one language (§8.4.4).
type Text struct {
	// Language is a tag such as "en" or "de-CH" (RFC 5646).
	Language string
	// Manifest holds what is said of the manifest as a whole.
	Manifest map[TextKey]string
	// Components holds what is said of single components.
	Components map[ComponentID]map[ComponentTextKey]string
}

// A TextKey says what a text about the manifest is.
type TextKey int64

// The texts about a manifest.
const (
	TextManifestDescription TextKey = 1
	TextUpdateDescription   TextKey = 2
	TextJSONSource          TextKey = 3
	TextYAMLSource          TextKey = 4
)

// A ComponentTextKey says what a text about a component is.
type ComponentTextKey int64

// The texts about a component.
const (
	TextVendorName           ComponentTextKey = 1
	TextModelName            ComponentTextKey = 2
	TextVendorDomain         ComponentTextKey = 3
	TextModelInfo            ComponentTextKey = 4
	TextComponentDescription ComponentTextKey = 5
	TextComponentVersion     ComponentTextKey = 6
	TextVersionRequired      ComponentTextKey = 7
	TextCurrentVersion       ComponentTextKey = 8
)

// language is the grammar of tag 38 (RFC 9290 §A). It is never changed.
var language = regexp.MustCompile(`^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$`)

// textsOf reads the map from language tags to texts.
func textsOf(i item, components []ComponentID) ([]Text, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 || len(pairs) > maxLanguages {
		return nil, fmt.Errorf("%w: text is not a map of languages", ErrStructure)
	}
	texts := make([]Text, 0, len(pairs))
	for _, p := range pairs {
		tag, err := p.key.text()
		if err != nil || !language.MatchString(tag) {
			return nil, fmt.Errorf("%w: language tag %q", ErrStructure, tag)
		}
		one, err := textOf(p.value, components)
		if err != nil {
			return nil, fmt.Errorf("text %q: %w", tag, err)
		}
		one.Language = tag
		texts = append(texts, one)
	}
	return texts, nil
}

func textOf(i item, components []ComponentID) (Text, error) {
	pairs, err := i.pairs()
	if err != nil {
		return Text{}, err
	}
	t := Text{Manifest: map[TextKey]string{}, Components: map[ComponentID]map[ComponentTextKey]string{}}
	for _, p := range pairs {
		if err := t.add(p, components); err != nil {
			return Text{}, err
		}
	}
	return t, nil
}

// add takes up one text: its key is a number, or the component it is about.
func (t *Text) add(p pair, components []ComponentID) error {
	if p.key.major() != majorArray {
		key, err := p.key.int()
		if err != nil {
			return err
		}
		t.Manifest[TextKey(key)], err = p.value.text()
		return err
	}
	id, err := componentOf(p.key)
	if err != nil {
		return err
	}
	if !slices.Contains(components, id) {
		return fmt.Errorf("%w: component %v is not of this manifest", ErrStructure, id)
	}
	t.Components[id], err = componentTextOf(p.value)
	return err
}

func componentTextOf(i item) (map[ComponentTextKey]string, error) {
	pairs, err := i.pairs()
	if err != nil {
		return nil, err
	}
	texts := make(map[ComponentTextKey]string, len(pairs))
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, err
		}
		if texts[ComponentTextKey(key)], err = p.value.text(); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// encodeTexts is the inverse of textsOf.
func encodeTexts(texts []Text) []byte {
	pairs := make([]pair, 0, len(texts))
	for _, t := range texts {
		pairs = append(pairs, pair{key: encodeText(t.Language), value: t.encode()})
	}
	return appendMap(nil, pairs)
}

func (t Text) encode() []byte {
	pairs := make([]pair, 0, len(t.Manifest)+len(t.Components))
	for key, text := range t.Manifest {
		pairs = append(pairs, pair{key: intKey(int64(key)), value: encodeText(text)})
	}
	for id, fields := range t.Components {
		inner := make([]pair, 0, len(fields))
		for key, text := range fields {
			inner = append(inner, pair{key: intKey(int64(key)), value: encodeText(text)})
		}
		pairs = append(pairs, pair{key: item(id), value: appendMap(nil, inner)})
	}
	return appendMap(nil, pairs)
}
