package senml

import (
	"fmt"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/internal/cbor"
)

// pathReader collects the names of records without values.
type pathReader struct {
	resolver
	prefix string
	paths  []lwm2m.Path
}

func (s *pathReader) add(r *record) error {
	if err := s.base(r); err != nil {
		return err
	}
	if r.has&^(hasBaseName|hasName|hasVersion) != 0 || r.has&(hasBaseName|hasName) == 0 {
		return fmt.Errorf("%w: a composite read has names only", ErrRecord)
	}
	prefix, path, err := s.name(r)
	if err != nil {
		return err
	}
	if prefix != s.prefix {
		return fmt.Errorf("%w: %q before %s", lwm2m.ErrPrefix, prefix, path)
	}
	if len(s.paths) == lwm2m.MaxEntries {
		return ErrLimit
	}
	s.paths = append(s.paths, path)
	return nil
}

// duplicate checks that no path comes twice.
func (s *pathReader) duplicate() error {
	sorted := slices.Clone(s.paths)
	slices.SortFunc(sorted, lwm2m.Path.Compare)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return fmt.Errorf("%w: %s", lwm2m.ErrDuplicate, sorted[i])
		}
	}
	return nil
}

// EncodePathsCBOR writes names for a composite request below prefix.
func EncodePathsCBOR(paths []lwm2m.Path, prefix string) []byte {
	b := cbor.AppendHead(nil, cbor.MajorArray, uint64(len(paths)))
	for _, p := range paths {
		b = cbor.AppendHead(b, cbor.MajorMap, 1)
		b = cbor.AppendInt(b, labelName)
		b = cbor.AppendText(b, fullName(prefix, p))
	}
	return b
}

// EncodePathsJSON writes names for a composite request below prefix.
func EncodePathsJSON(paths []lwm2m.Path, prefix string) []byte {
	b := []byte{'['}
	for i, p := range paths {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"n":`...)
		b = appendString(b, fullName(prefix, p))
		b = append(b, '}')
	}
	return append(b, ']')
}

func fullName(prefix string, p lwm2m.Path) string {
	switch {
	case prefix == "":
		return p.String()
	case p.Len() == 0:
		return "/" + prefix
	default:
		return "/" + prefix + p.String()
	}
}
