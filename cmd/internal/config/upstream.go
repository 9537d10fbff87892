package config

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Upstream says which external CA makes the certificates of devices.
type Upstream struct {
	// Kind is "est" for one that is asked by EST over HTTPS (RFC 7030), "files" for one
	// that people bring requests to. "": our own issuer makes them.
	Kind string `toml:"kind"`
	// Anchors is a PEM file with the CA certificates that its certificates lead to.
	Anchors string `toml:"anchors"`

	// URL is where the EST server is, up to the function: https://…/.well-known/est.
	URL string `toml:"url"`
	// TLSAnchors is a PEM file with the CA certificates of the EST server's own
	// certificate; "": Anchors.
	TLSAnchors string `toml:"tls-anchors"`
	// Certificate and Key are PEM files by which we prove ourselves to it; "": none.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
	// User and PasswordFile are for HTTP Basic; "": none.
	User         string `toml:"user"`
	PasswordFile string `toml:"password-file"`

	// Directory is where requests are put as ID.csr.pem, and answers are looked for as
	// ID.cert.pem; "": people exchange both by the command line or REST only.
	Directory string `toml:"directory"`
}

// The kinds of external CAs.
const (
	UpstreamEST   = "est"
	UpstreamFiles = "files"
)

// checkUpstream returns ErrConfig for an external CA that is no good as written, or
// beside keys that are made here.
func (o Options) checkUpstream() error {
	if err := o.Upstream.check(); err != nil || o.Upstream.Kind == "" {
		return err
	}
	made := o.EST.ServerKeys
	for _, l := range o.EST.Labels {
		made = made || l.ServerKeys
	}
	if made {
		return fmt.Errorf("%w: est.server-keys: no keys are made here for an external CA", ErrConfig)
	}
	return nil
}

// check returns ErrConfig for what cannot be meant.
func (u Upstream) check() error {
	no := func(text string) error { return fmt.Errorf("%w: upstream.%s", ErrConfig, text) }
	switch u.Kind {
	case "":
		if u != (Upstream{}) {
			return no("kind: est or files; without it the others mean nothing")
		}
		return nil
	case UpstreamEST:
		if u.Directory != "" {
			return no("directory: is for the kind files")
		}
	case UpstreamFiles:
		if u != (Upstream{Kind: u.Kind, Anchors: u.Anchors, Directory: u.Directory}) {
			return no("kind: files takes anchors and directory only")
		}
	default:
		return no(fmt.Sprintf("kind: %.80q; est or files", u.Kind))
	}
	if u.Anchors == "" {
		return no("anchors: a PEM file is needed")
	}
	if u.Kind == UpstreamFiles {
		return nil
	}
	return u.checkEST(no)
}

func (u Upstream) checkEST(no func(string) error) error {
	where, err := url.Parse(u.URL)
	switch {
	case err != nil || where.Scheme != "https" || where.Host == "" || where.User != nil:
		return no(fmt.Sprintf("url: %.80q; https://host/.well-known/est", u.URL))
	case (u.Certificate == "") != (u.Key == ""):
		return no("certificate and key: give both or none")
	case (u.User == "") != (u.PasswordFile == ""):
		return no("user and password-file: give both or none")
	case u.Certificate == "" && u.User == "":
		return no("certificate: or a user with a password; else the external CA knows nothing of us")
	}
	return nil
}

// Password reads PasswordFile without the newline at its end; nil if there is none.
func (u Upstream) Password() ([]byte, error) {
	if u.PasswordFile == "" {
		return nil, nil
	}
	info, err := os.Stat(u.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("%w: upstream.password-file: %w", ErrConfig, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: upstream.password-file: %s can be read by others (mode %o)", ErrConfig, u.PasswordFile,
			info.Mode().Perm())
	}
	text, err := os.ReadFile(u.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("%w: upstream.password-file: %w", ErrConfig, err)
	}
	return []byte(strings.TrimRight(string(text), "\r\n")), nil
}
