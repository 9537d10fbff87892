package app

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"steward/est"
)

// Media types of OCSP (RFC 6960 Appendix C).
const (
	ocspRequestType  = "application/ocsp-request"
	ocspResponseType = "application/ocsp-response"
)

// maxOCSPPath bounds the request in a URL: RFC 5019 §5 has 255 bytes, and clients
// that ask by longer hashes or with a nonce a little more.
const maxOCSPPath = 1024

// getOCSP answers GET /ocsp/<base64 of the request> (RFC 6960 Appendix A.1), of which
// caches on the way keep the answers.
func (p *publication) getOCSP(w http.ResponseWriter, r *http.Request, text string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if len(text) > maxOCSPPath {
		http.Error(w, http.StatusText(http.StatusRequestURITooLong), http.StatusRequestURITooLong)
		return
	}
	plain, err := url.PathUnescape(text)
	if err != nil {
		plain = ""
	}
	der, err := base64.StdEncoding.Strict().DecodeString(plain)
	if err != nil {
		der = nil // malformed, and so is nothing
	}
	p.answerOCSP(w, r, der, true)
}

// postOCSP answers POST /ocsp. Nobody keeps what is posted.
func (p *publication) postOCSP(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != ocspRequestType {
		http.Error(w, "want "+ocspRequestType, http.StatusUnsupportedMediaType)
		return
	}
	// A listener waits for bodies as long as for headers, and no longer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headerTimeout)) // else there is none
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, est.MaxOCSPRequest))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return
	}
	p.answerOCSP(w, r, der, false)
}

func (p *publication) answerOCSP(w http.ResponseWriter, r *http.Request, der []byte, keep bool) {
	a := p.responder.Answer(r.Context(), der)
	out := published{mediaType: ocspResponseType, der: a.DER}
	if keep && !a.Next.IsZero() {
		h := sum(a.DER)
		out.made, out.next, out.fresh, out.tag = a.This, a.Next, ocspFresh, hex.EncodeToString(h[:8])
	}
	serveDER(w, r, out, p.now())
}
