// Package peer is the API between providers, /peer/v1: a listener of its own with
// mutual TLS, on which a partner is who shows the key that is pinned for it.
// openapi.yaml and transfer.cddl are its contract. What calls mean is the business of the
// Coordinator behind it, which audits what it refuses.
package peer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// The contract: what is called, and what is signed.
var (
	//go:embed openapi.yaml
	openapi []byte
	//go:embed transfer.cddl
	messages []byte
)

// Prefix is where the API begins.
const Prefix = "/peer/v1"

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("peer: incomplete options")

// A Coordinator answers partners; *coordinator.Coordinator is one.
type Coordinator interface {
	// Identify returns the partner that a TLS key is pinned for, or ErrForbidden.
	Identify(ctx context.Context, spki [sha256.Size]byte, from string) (coordinator.Partner, error)
	// Receive returns ErrUnknown, ErrState, ErrInvalid, ErrForbidden or ErrKeyReused.
	Receive(ctx context.Context, from coordinator.Partner, c coordinator.Call) (coordinator.Reply, error)
	// StatusFor returns ErrUnknown for a transfer that is not with that partner.
	StatusFor(ctx context.Context, from coordinator.Partner, id string) (coordinator.Status, error)
	// RightFor returns the signed RightStatus of a device, or ErrUnknown or ErrState.
	RightFor(ctx context.Context, from coordinator.Partner, id, device string) ([]byte, error)
}

// Options say what is served.
type Options struct {
	Coordinator Coordinator  // required
	Dir         string       // where large bodies wait until they are whole; "": os.TempDir
	Log         *slog.Logger // nil: none
}

// An API is the API between providers.
type API struct {
	o     Options
	large large
}

// New validates o.
func New(o Options) (*API, error) {
	if o.Coordinator == nil {
		return nil, ErrOptions
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &API{o: o}, nil
}

// TLS returns the configuration of the listener: a client must show a
// certificate, whoever signed it. Whose key it is, each request asks anew, so
// that a suspended partner is out at once.
func TLS(own tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert,
	}
}

// aboutTransfer and aboutDevice are the actions by their last path segment.
var (
	aboutTransfer = []coordinator.Action{
		coordinator.ActionOffer, coordinator.ActionApprove, coordinator.ActionWithdraw, coordinator.ActionExtend,
		coordinator.ActionExtension,
	}
	aboutDevice = []coordinator.Action{
		coordinator.ActionReady, coordinator.ActionCommitted, coordinator.ActionComplete, coordinator.ActionClose,
		coordinator.ActionChallenge, coordinator.ActionEvidence,
	}
)

// Routes returns the router of the API.
func (a *API) Routes() chi.Router {
	r := chi.NewRouter()
	refuse := func(err error) http.HandlerFunc {
		return a.handler(func(http.ResponseWriter, *http.Request, coordinator.Partner) error { return err })
	}
	r.NotFound(refuse(coordinator.ErrUnknown))
	r.MethodNotAllowed(refuse(web.ErrMethod))
	r.Get(Prefix+"/openapi.yaml", a.handler(document("application/yaml", openapi)))
	r.Get(Prefix+"/transfer.cddl", a.handler(document("text/plain; charset=utf-8", messages)))
	r.Post(Prefix+"/transfers", a.call(coordinator.ActionInfo))
	r.Get(Prefix+"/transfers/{id}", a.handler(a.status))
	r.Get(Prefix+"/transfers/{id}/devices/{device}/right", a.handler(a.right))
	for _, action := range aboutTransfer {
		r.Post(Prefix+"/transfers/{id}/"+string(action), a.call(action))
	}
	for _, action := range aboutDevice {
		r.Post(Prefix+"/transfers/{id}/devices/{device}/"+string(action), a.call(action))
	}
	return r
}

// A handler is one that knows the partner.
type handler func(w http.ResponseWriter, r *http.Request, from coordinator.Partner) error

// handler finds the partner before anything of the request is read.
func (a *API) handler(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, err := a.partner(r)
		if err == nil {
			err = h(w, r, from)
		}
		if err != nil {
			a.fail(w, r, from, err)
		}
	}
}

func (a *API) partner(r *http.Request) (coordinator.Partner, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return coordinator.Partner{}, fmt.Errorf("%w: no client certificate", coordinator.ErrForbidden)
	}
	spki := sha256.Sum256(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	return a.o.Coordinator.Identify(r.Context(), spki, r.RemoteAddr)
}

// call passes a request on.
func (a *API) call(action coordinator.Action) http.HandlerFunc {
	return a.handler(func(w http.ResponseWriter, r *http.Request, from coordinator.Partner) error {
		if err := checkBody(r, action.ContentType()); err != nil {
			return err
		}
		answer, err := answerType(r, answers(action)) // before anything changes
		if err != nil {
			return err
		}
		done, err := a.large.begin(from.ID, r.ContentLength)
		if err != nil {
			return err
		}
		defer done()
		c := coordinator.Call{
			Action: action, Transfer: chi.URLParam(r, "id"), Device: chi.URLParam(r, "device"),
			Key: r.Header.Get("Idempotency-Key"),
		}
		reply, err := a.receive(w, r, from, c)
		if err != nil {
			return err
		}
		if reply.ContentType == "" {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if answer == "" {
			answer = reply.ContentType
		}
		w.Header().Set("Content-Type", answer)
		_, _ = w.Write(reply.Body) // a partner that is gone asks again
		return nil
	})
}

// receive reads the body of a call, a large one into a file, and passes it on.
func (a *API) receive(w http.ResponseWriter, r *http.Request, from coordinator.Partner, c coordinator.Call) (
	coordinator.Reply, error,
) {
	if c.Action == coordinator.ActionInfo {
		s, err := newSpool(a.o.Dir, w, r)
		if err != nil {
			return coordinator.Reply{}, err
		}
		defer func() { _ = s.Close() }() // it was read only
		c.Spool = s.body
		return a.o.Coordinator.Receive(r.Context(), from, c)
	}
	var err error
	if c.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limitOf(c.Action))); err != nil {
		return coordinator.Reply{}, unread(err)
	}
	return a.o.Coordinator.Receive(r.Context(), from, c)
}

// limitOf bounds the bodies of calls. Only withdrawals speak of many devices beside
// the information itself; a mandate may stand in an extension.
func limitOf(a coordinator.Action) int64 {
	if a.AboutDevice() {
		return maxSmall
	}
	return transfer.MaxBatch
}

func (a *API) status(w http.ResponseWriter, r *http.Request, from coordinator.Partner) error {
	answer, err := answerType(r, coordinator.TypeSubmission)
	if err != nil {
		return err
	}
	s, err := a.o.Coordinator.StatusFor(r.Context(), from, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", answer)
	_, _ = w.Write(text) // a partner that is gone asks again
	return nil
}

// document answers a part of the contract.
func document(mediaType string, text []byte) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ coordinator.Partner) error {
		w.Header().Set("Content-Type", mediaType)
		_, _ = w.Write(text) // the client is gone: nothing to do
		return nil
	}
}

func (a *API) right(w http.ResponseWriter, r *http.Request, from coordinator.Partner) error {
	answer, err := answerType(r, coordinator.TypeCOSE)
	if err != nil {
		return err
	}
	raw, err := a.o.Coordinator.RightFor(r.Context(), from, chi.URLParam(r, "id"), chi.URLParam(r, "device"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", answer)
	_, _ = w.Write(raw) //nolint:gosec // G705: COSE, never a page; a partner that is gone asks again
	return nil
}
