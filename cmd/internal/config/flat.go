package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// secret finds names of settings whose values nobody should read: not those that name
// files.
var secret = regexp.MustCompile(`(password|passphrase|secret|token)$`)

// pin finds the PIN in the URI of a key in a token (RFC 7512 §2.4).
var pin = regexp.MustCompile(`(pin-value=)[^&;]*`)

// Redacted stands for a secret.
const Redacted = "(secret)"

// Flat returns the settings by the names that the file has for them, tables and keys
// joined by dots, without secrets.
func (o Options) Flat() (map[string]string, error) {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(o); err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := toml.Unmarshal(text.Bytes(), &tree); err != nil {
		return nil, err
	}
	out := map[string]string{}
	flatten(out, "", tree)
	return out, nil
}

func flatten(out map[string]string, prefix string, tree map[string]any) {
	for name, v := range tree {
		if inner, ok := v.(map[string]any); ok {
			flatten(out, prefix+name+".", inner)
			continue
		}
		text := pin.ReplaceAllString(strings.Trim(fmt.Sprint(v), "[]"), "${1}"+Redacted)
		if secret.MatchString(name) && text != "" {
			text = Redacted
		}
		out[prefix+name] = text
	}
}

// MarshalText writes a duration as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
