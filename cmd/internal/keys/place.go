package keys

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A place is where the keys of one purpose are kept. The zero one is the
// directory of the ring.
type place struct {
	file  string // of the first generation; "" with a token, or for the ring's directory
	token string // RFC 7512 URI of a token, without an object
	pin   string // file with the token's PIN; "": it needs none
	label string // of the first generation's object; "": the purpose's name
}

// parsePlace reads "file:PATH" or "pkcs11:…". The PIN of a token stands in a file
// (pin-source): a PIN in a setting would stand in process lists and logs.
func parsePlace(text string) (place, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "file":
		if rest = strings.TrimPrefix(rest, "//"); !filepath.IsAbs(rest) {
			return place{}, fmt.Errorf("%w: file: needs an absolute path", ErrPlace)
		}
		return place{file: rest}, nil
	case "pkcs11":
		if !PKCS11 {
			return place{}, fmt.Errorf("%w: this program was built without PKCS#11 (it needs CGO_ENABLED=1)", ErrPlace)
		}
		return parseToken(rest)
	}
	return place{}, fmt.Errorf("%w: file:PATH or pkcs11:…", ErrPlace)
}

// parseToken takes the object out of a URI, which the ring says itself.
func parseToken(text string) (place, error) {
	path, query, _ := strings.Cut(text, "?")
	var p place
	var kept []string
	has := map[string]bool{}
	for part := range strings.SplitSeq(path, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || value == "" || has[name] {
			return place{}, fmt.Errorf("%w: pkcs11: wants name=value;…, each once", ErrPlace)
		}
		has[name] = true
		switch name {
		case "object":
			p.label = value
		case "id", "pin-value", "pin-source":
			return place{}, fmt.Errorf("%w: pkcs11: no %s here", ErrPlace, name)
		default:
			kept = append(kept, part)
		}
	}
	if strings.Contains(query, ";") { // not of a query's characters (RFC 7512 §2.3); it would begin an attribute
		return place{}, fmt.Errorf("%w: pkcs11: no ; after the ?, write it %%3B", ErrPlace)
	}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "module-path": // RFC 7512 has it here
			kept = append(kept, part)
		case "pin-source":
			p.pin = strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		case "":
		default:
			return place{}, fmt.Errorf("%w: pkcs11: no %s here; the PIN stands in a file: pin-source", ErrPlace, name)
		}
	}
	if !has["token"] && !has["serial"] && !has["slot-id"] {
		return place{}, fmt.Errorf("%w: pkcs11: token, serial or slot-id is needed", ErrPlace)
	}
	p.token = "pkcs11:" + strings.Join(kept, ";")
	return p, nil
}

// path returns the file of a key.
func (p place) path(dir string, name Name) string {
	if p.file == "" {
		return filepath.Join(dir, string(name)+".pem")
	}
	ext := filepath.Ext(p.file)
	return strings.TrimSuffix(p.file, ext) + p.generation(name) + ext
}

// object returns the label of a key in its token.
func (p place) object(name Name) string {
	if p.label == "" {
		return string(name)
	}
	return p.label + p.generation(name)
}

func (p place) generation(name Name) string {
	return strings.TrimPrefix(string(name), string(name.Purpose()))
}
