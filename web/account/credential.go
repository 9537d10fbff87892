package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"steward/web"
)

// Lifetimes.
const (
	LinkLifetime    = 10 * time.Minute
	SessionLifetime = 12 * time.Hour   // however busy: one shift
	SessionIdle     = 60 * time.Minute // without a request
	touchEvery      = time.Minute      // how exact the idle time is kept

	TokenLifetime = 90 * 24 * time.Hour  // of a token whose maker says nothing
	MaxLifetime   = 366 * 24 * time.Hour // of any token of a person
)

// A Kind is what a credential is good for.
type Kind string

// The kinds of credentials.
const (
	Link    Kind = "link"    // exchanged once for a session
	Session Kind = "session" // in a cookie
	Token   Kind = "token"   // in the header Authorization
)

// A Hash is the SHA-256 of a secret. Secrets are 256 random bits, so that a
// fast hash is enough.
type Hash [sha256.Size]byte

// idBytes of a hash name a credential on pages: they do not lead to its secret.
const idBytes = 12

// ID returns what the credential is called where its secret must not stand.
func (h Hash) ID() string { return hex.EncodeToString(h[:idBytes]) }

// A Method is how somebody signed in.
type Method string

// The methods.
const (
	ByLink     Method = "link"
	ByPassword Method = "password"
	ByPasskey  Method = "passkey"
	ByOIDC     Method = "oidc"
)

// A Visit is from where somebody comes, for the list of sessions.
type Visit struct {
	Address string // host and port
	Agent   string // what the browser says that it is
}

// maxAgent bounds what is kept of a browser's name.
const maxAgent = 200

// A Credential is what is stored of one secret.
type Credential struct {
	Hash      Hash
	Kind      Kind
	Owner     string // the person; "" for a token that belongs to nobody
	Name      string // of a token; else the person's
	Role      web.Role
	Scope     web.Scope
	Prefix    string // of a token: the paths that it is for; "" for all
	Method    Method // of a session
	Visit     Visit  // of a session
	CreatedAt time.Time
	SeenAt    time.Time // last use, to about a minute
	ExpiresAt time.Time // zero: never
}

// live reports whether c is good at now.
func (c Credential) live(now time.Time) bool {
	if !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return false
	}
	return c.Kind != Session || now.Sub(c.SeenAt) < SessionIdle
}

// secretBytes makes guessing hopeless without any rate limit.
const secretBytes = 32

// tokenPrefix lets scanners of repositories find tokens that should not be there.
const tokenPrefix = "steward_"

// newSecret returns a fresh secret, which begins with prefix, and its hash.
func newSecret(prefix string) (string, Hash) {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	text := prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return text, hashOf(text)
}

// hashOf returns the hash of a secret as its bearer shows it. A look-up by
// hash leaks nothing useful through time.
func hashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }
