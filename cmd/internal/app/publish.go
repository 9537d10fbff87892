package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// A publication is what the world may know of our certificates: CRLs, statuses,
// and the certificates of the CA.
type publication struct {
	places

	ca        *est.CA
	crls      *est.CRLs
	responder *est.Responder
	now       func() time.Time
	log       *slog.Logger
}

// newPublication makes what is published, with the responder's key.
func (a *App) newPublication(ctx context.Context) (*publication, error) {
	_, key, err := a.pki.key(ctx, keys.OCSP)
	if err != nil {
		return nil, err
	}
	p := &publication{
		places: newPlaces(a.cfg), ca: a.pki.ca, crls: est.NewCRLs(a.pki.ca, est.CRLOptions{}), now: a.now, log: a.log,
	}
	if p.responder, err = est.NewResponder(p.ca, est.ResponderOptions{Key: key}); err != nil {
		return nil, err
	}
	a.logError(ctx, "certificate of the responder", p.responder.Renew(ctx)) // it is tried again: devices must not wait
	return p, nil
}

// keep does what is due: certificates of the responder, answers that get old, and what
// the journal could not take.
func (p *publication) keep(ctx context.Context) error {
	return errors.Join(p.ca.Settle(), p.responder.Renew(ctx), p.responder.Refresh(ctx))
}

// handler serves relying parties (RFC 5280 §4.2.1.13, RFC 2585), read only.
func (p *publication) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{name}", func(w http.ResponseWriter, r *http.Request) {
		p.serveCRL(w, r, r.PathValue("name"), "")
	})
	mux.HandleFunc("GET /crl/{name}/{part}", func(w http.ResponseWriter, r *http.Request) {
		p.serveCRL(w, r, r.PathValue("name")+crlSuffix, r.PathValue("part"))
	})
	mux.HandleFunc("GET /issuer/{name}", p.serveIssuer)
	mux.HandleFunc("POST /ocsp", p.postOCSP)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A mux would redirect what base64 may hold: two slashes.
		if text, ok := strings.CutPrefix(r.URL.EscapedPath(), "/ocsp/"); ok && text != "" {
			p.getOCSP(w, r, text)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// errNothingThere reports a name that nothing is published under.
var errNothingThere = errors.New("nothing is published there")

// authority finds an authority by its name, or the current one by "issuing".
func (p *publication) authority(name string) (est.Authority, error) {
	for i, a := range p.ca.Authorities() {
		if name == authorityName(a.Hash()) || i == 0 && name == "issuing" {
			return a, nil
		}
	}
	return est.Authority{}, errNothingThere
}

// scope reads the names of a CRL: "<authority>.crl", and for a part "<n>-<parts>.crl".
// Parts there are as many as are configured, or were before they were multiplied.
func (p *publication) scope(name, part string) (est.CRLScope, error) {
	name, ok := strings.CutSuffix(name, crlSuffix)
	if !ok {
		return est.CRLScope{}, errNothingThere
	}
	a, err := p.authority(name)
	if err != nil {
		return est.CRLScope{}, err
	}
	if part == "" {
		return est.CRLScope{Issuer: a.Hash()}, nil
	}
	var s est.CRLScope
	for n := 2; n <= p.parts; n *= 2 {
		for i := range n {
			if part == partName(i, n) {
				s = est.CRLScope{Issuer: a.Hash(), Shard: i, Shards: n}
			}
		}
	}
	if s.Shards == 0 {
		return s, errNothingThere
	}
	s.URL = p.crl(s)
	return s, nil
}

func (p *publication) serveCRL(w http.ResponseWriter, r *http.Request, name, part string) {
	crl, err := p.list(r.Context(), name, part)
	switch {
	case errors.Is(err, errNothingThere):
		http.NotFound(w, r)
	case err != nil:
		p.log.LogAttrs(r.Context(), slog.LevelError, "crl", slog.Any("error", err))
		http.Error(w, "the CRL cannot be made now", http.StatusServiceUnavailable)
	default:
		serveDER(w, r, published{
			mediaType: "application/pkix-crl", der: crl.DER, tag: strconv.FormatInt(crl.Number, 36),
			made: crl.ThisUpdate, next: crl.NextUpdate, fresh: crlFresh,
		}, p.now())
	}
}

// list returns a CRL by its name. The one who asked first may go away: others wait
// for the same.
func (p *publication) list(ctx context.Context, name, part string) (est.CRL, error) {
	s, err := p.scope(name, part)
	if err != nil {
		return est.CRL{}, err
	}
	return p.crls.Get(context.WithoutCancel(ctx), s)
}

func (p *publication) serveIssuer(w http.ResponseWriter, r *http.Request) {
	der, err := p.issuer(r.PathValue("name"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	serveDER(w, r, published{mediaType: "application/pkix-cert", der: der, tag: authorityName(sum(der)), fresh: certFresh},
		p.now())
}

// issuer returns a certificate of the CA by its name: "<authority>.cer", "root.cer".
func (p *publication) issuer(name string) ([]byte, error) {
	name, ok := strings.CutSuffix(name, certSuffix)
	if ok && name == "root" {
		return p.ca.Root().Raw, nil
	}
	a, err := p.authority(name)
	if err != nil || !ok {
		return nil, errNothingThere
	}
	return a.Certificate.Raw, nil
}
