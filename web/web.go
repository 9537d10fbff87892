// Package web is what the dashboard and the REST API share: who acts, the
// services that both show, how errors become HTTP answers, middleware, pages
// and the stream of events. It knows no database and no socket.
package web

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// An Actor is who does something: a person with a session or with a token of
// theirs, or a token that belongs to nobody. It is passed to every service call
// that changes anything. The zero Actor is nobody.
type Actor struct {
	Name  string `json:"name"` // of the person, or of a token that belongs to nobody
	Role  Role   `json:"role"`
	Via   Via    `json:"via"`
	Token string `json:"token,omitempty"` // of the person, by which a program comes; "": none
	Scope Scope  `json:"groups,omitempty"`
	// Credential is the id of the session or token, Since when it was made, and Prefix
	// the paths that a token is for; "" is all.
	Credential string    `json:"-"`
	Since      time.Time `json:"-"`
	Prefix     string    `json:"-"`
}

// System is the program itself, or who commands it on its own machine.
func System() Actor { return Actor{Name: "system", Role: RoleAdmin, Via: ViaSystem} }

// Person reports whether somebody answers for a: it is no token that belongs to
// nobody.
func (a Actor) Person() bool { return a.Via == ViaSession || a.Token != "" }

// A Via says how an actor proved who they are.
type Via string

// The ways to sign in.
const (
	ViaSession Via = "session"
	ViaToken   Via = "token"
	ViaSystem  Via = "system" // the program itself
)

// String returns the actor as audit rows name one: "operator:alice", or
// "operator:alice/ci" for a token of hers.
func (a Actor) String() string {
	switch {
	case a.Via == ViaSystem:
		return a.Name
	case a.Token != "":
		return "operator:" + a.Name + "/" + a.Token
	default:
		return "operator:" + a.Name
	}
}

type contextKey int

const (
	actorKey contextKey = iota
	stillKey
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

// WithStill returns a context for a request that may last: still reports whether its
// actor has the rights yet that they came with.
func WithStill(ctx context.Context, still func(context.Context) bool) context.Context {
	return context.WithValue(ctx, stillKey, still)
}

// Still reports whether the actor of ctx has the rights yet that they came with.
func Still(ctx context.Context) bool {
	still, ok := ctx.Value(stillKey).(func(context.Context) bool)
	return !ok || still(ctx)
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
		need := strings.ReplaceAll(string(role), "+", " or ")
		return &Error{Is: ErrForbidden, Detail: "this needs the role " + need + ", yours is " + string(actor.Role)}
	}
}
