package config

import (
	"fmt"
	"net/url"
	"strings"

	"steward/web"
)

// People says how people sign in, and what needs two of them.
type People struct {
	// PublicURL is the dashboard's address as people open it, where that is not the
	// one of Host and HTTP: behind a proxy with TLS. "": the same. Passkeys are made
	// for its name.
	PublicURL string `toml:"public-url"`
	// FourEyes says when another person must approve releases, campaigns, hand-overs
	// and revocations of many: "signed-in" (default) where somebody else who could is
	// signed in, "always", or "off".
	FourEyes string `toml:"four-eyes"`

	OIDC OIDC `toml:"oidc"`
}

// OIDC is a provider of identities.
type OIDC struct {
	Issuer     string            `toml:"issuer"` // https URL; "": none
	Name       string            `toml:"name"`   // on the sign-in page; "": the issuer's host
	ClientID   string            `toml:"client-id"`
	SecretFile string            `toml:"secret-file"` // readable by its owner only; "": a public client
	Claim      string            `toml:"claim"`       // of the token, whose words Roles turns into roles; "": roles
	Roles      map[string]string `toml:"roles"`       // word → role
	Domains    []string          `toml:"domains"`     // of verified mail addresses; none: all
}

// When another person must approve.
const (
	FourEyesSignedIn = "signed-in"
	FourEyesAlways   = "always"
	FourEyesOff      = "off"
)

// people takes over what was written. It returns ErrConfig.
func (c *Config) people(o Options) error {
	c.People = o.People
	p := &c.People
	p.PublicURL = strings.TrimSuffix(p.PublicURL, "/")
	if u, err := url.Parse(p.PublicURL); p.PublicURL != "" && (err != nil || u.Host == "" || u.Path != "" ||
		u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("%w: people.public-url: %.80q; https://host[:port]", ErrConfig, p.PublicURL)
	}
	switch p.FourEyes {
	case "":
		p.FourEyes = FourEyesSignedIn
	case FourEyesSignedIn, FourEyesAlways, FourEyesOff:
	default:
		return fmt.Errorf("%w: people.four-eyes: %.80q; signed-in, always or off", ErrConfig, p.FourEyes)
	}
	return p.OIDC.check()
}

func (o *OIDC) check() error {
	if o.Issuer == "" {
		return nil
	}
	u, err := url.Parse(o.Issuer)
	local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
	if err != nil || u.Host == "" || u.Scheme != "https" && (!local || u.Scheme != "http") {
		return fmt.Errorf("%w: people.oidc.issuer: %.80q; https://…", ErrConfig, o.Issuer)
	}
	if o.ClientID == "" || len(o.Roles) == 0 {
		return fmt.Errorf("%w: people.oidc: client-id and roles are needed", ErrConfig)
	}
	for word, role := range o.Roles {
		if _, err := web.ParseRole(role); err != nil {
			return fmt.Errorf("%w: people.oidc.roles: %.40q = %.40q: %w", ErrConfig, word, role, err)
		}
	}
	if o.Name == "" {
		o.Name = u.Hostname()
	}
	return nil
}
