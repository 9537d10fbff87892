// Package web is what the dashboard and the REST API share: who acts, the
// services that both show, how errors become HTTP answers, middleware, pages
// and the stream of events. It knows no database and no socket.
package web

import (
	"context"
	"errors"
	"net/http"
)

// A Role says what a person or a token may do. Viewers are included in every
// other role, all roles in that of administrators. Releases and operations are
// apart: who decides what may be installed does not thereby command devices.
type Role string

// The roles.
const (
	RoleNone     Role = ""         // nobody: signed out
	RoleViewer   Role = "viewer"   // sees everything but secrets
	RoleOperator Role = "operator" // commands devices, runs campaigns, drafts transfers
	RoleRelease  Role = "release"  // adds, approves and withdraws releases
	RoleAdmin    Role = "admin"    // approves, revokes, adds partners and people
)

// ErrRole reports a word that names no role.
var ErrRole = errors.New("unknown role")

// ParseRole returns the role called name. It returns ErrRole for others, the
// empty one included.
func ParseRole(name string) (Role, error) {
	switch r := Role(name); r {
	case RoleViewer, RoleOperator, RoleRelease, RoleAdmin:
		return r, nil
	default:
		return RoleNone, ErrRole
	}
}

// Includes reports whether who has role r may do what needs role other. A word
// that is no role includes nothing but RoleNone.
func (r Role) Includes(other Role) bool {
	switch other {
	case RoleNone:
		return true
	case RoleViewer:
		return r == RoleViewer || r == RoleOperator || r == RoleRelease || r == RoleAdmin
	default:
		return other == r && (r == RoleOperator || r == RoleRelease) || r == RoleAdmin
	}
}

// An Actor is who does something: a person with a session or the bearer of a
// token. It is passed to every service call that changes anything. The zero
// Actor is nobody.
type Actor struct {
	Name string `json:"name"` // unique among people and tokens
	Role Role   `json:"role"`
	Via  Via    `json:"via"`
}

// A Via says how an actor proved who they are.
type Via string

// The ways to sign in.
const (
	ViaSession Via = "session"
	ViaToken   Via = "token"
)

// String returns the actor as audit rows name one: "operator:alice".
func (a Actor) String() string { return "operator:" + a.Name }

type contextKey int

const (
	actorKey contextKey = iota
	traceKey
)

// WithActor returns a context that carries a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey, a)
}

// ActorFrom returns the actor of the request that ctx belongs to, the zero
// Actor when nobody signed in.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey).(Actor)
	return a
}

// A Handler is an HTTP handler that returns its error instead of writing it.
// One that returns an error must not have written anything.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Require returns h for those whose role includes role. Others get
// ErrSignedOut or ErrForbidden.
func Require(role Role, h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor := ActorFrom(r.Context())
		if actor.Role.Includes(role) {
			return h(w, r)
		}
		if actor.Role == RoleNone {
			return ErrSignedOut
		}
		return &Error{Is: ErrForbidden, Detail: "this needs the role " + string(role) + ", yours is " + string(actor.Role)}
	}
}
