package foreign_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// A foreign is a provider that is not Steward: a CA, a server for devices, and its
// side of /peer/v1. It knows one partner.
type foreign struct {
	name     string
	ca       *ca
	signer   signer // of messages
	tls      tls.Certificate
	door     *door
	factory  *x509.Certificate // of the factory's CA
	other    partner
	owner    *partner // service user whose certificate the factory has given devices; nil: none
	client   *http.Client
	uri      string // of its /peer/v1
	verifier *verifier
	gates    gates // that devices pass which come
	updates  updates
	demands  bool // our verdict on devices that go

	mu     sync.Mutex
	said   map[string]said
	deals  map[string]*deal
	faults []error // that the test is told of

	revisions int  // that were taken
	suspended bool // the other partner
	turned    int  // calls of it that were turned away since
}

// A deal is a transfer.
type deal struct {
	id       []byte
	incoming bool
	state    string
	info     []byte // hash
	mandate  []byte // hash
	order    []byte // the mandate
	allows   mandate
	told     uint64 // when the info was signed
	window   pair2  // as agreed last
	asked    *extension
	terms    offer
	offer    []byte // hash
	devices  map[string]*switching
}

// Gates are what devices pass between Commit and enrolment.
type gates struct{ attest, update bool }

// A switching is a device in a deal.
type switching struct {
	endpoint string
	factory  *x509.Certificate
	info     switchInfo
	state    string
	ready    *receipt
	nonce    []byte   // given and not used yet
	verdict  []byte   // of the verifier
	affirmed bool     // by it
	passed   gates    // what it has passed
	receipts [][]byte // DONE, FINALISED
	message  []byte   // as written, at SP1
	hash     []byte   // of the message
	busy     bool
}

func newForeign(t *testing.T, name, host string, factory *x509.Certificate, other partner) *foreign {
	t.Helper()
	c := newCA(name)
	f := &foreign{
		name: name, ca: c, signer: c.messages(name), tls: c.server(host), factory: factory, other: other,
		said: map[string]said{}, deals: map[string]*deal{},
	}
	f.client = &http.Client{
		Transport: &http.Transport{TLSClientConfig: pinned(f.tls, &f.other)}, Timeout: 30 * time.Second,
	}
	f.verifier = newVerifier(c, name)
	f.door = &door{ca: c, factory: factory, arrived: f.arrived, gates: map[string]gate{"ra": f.attest, "update": f.update}}
	f.door.open(t, host)
	f.serve(t, host)
	return f
}

// identity returns the file for the partner.
func (f *foreign) identity() []byte {
	return identity{
		Name: f.name, Kind: "provider", Peer: f.uri, TLS: encodePEM(f.tls.Leaf),
		Signing: encodePEM(f.signer.certificate), Issuing: encodePEM(f.ca.certificate),
		Verifier: encodePEM(f.verifier.certificate),
	}.file(f.signer)
}

// anchors are those of the partner's domain: its CA, and the certificate that may
// sign messages and manifests.
func (f *foreign) anchors() []purpose {
	return []purpose{
		{Name: f.ca.certificate.Raw, Purposes: enrolCA | dm | update | ra},
		{Name: f.signer.certificate.Raw, Purposes: suit | transfers},
	}
}

// fault notes what went wrong where nobody is told.
func (f *foreign) fault(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, err)
}

// newQuiet is the log of what a listener says of strangers.
func newQuiet() *log.Logger { return log.New(io.Discard, "", 0) }

// kept makes a handler of a taker: the same key with the same body gets the same
// answer, with another body 409.
func (f *foreign) kept(media string, take taker) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		key := r.Header.Get("Idempotency-Key")
		switch {
		case err != nil:
			problem(w, http.StatusRequestEntityTooLarge, "too_large", err.Error())
			return
		case r.Header.Get("Content-Type") != media && r.Header.Get("Content-Type") != versioned(media):
			w.Header().Set("Accept", versioned(media)+", "+media)
			problem(w, http.StatusUnsupportedMediaType, "media_type", media)
			return
		case key == "":
			problem(w, http.StatusUnprocessableEntity, "invalid", "no Idempotency-Key")
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.suspended {
			f.turned++
			problem(w, http.StatusForbidden, "forbidden", "suspended")
			return
		}
		digest := sha256.Sum256(append([]byte(r.URL.Path+"\n"), body...))
		before, known := f.said[key]
		if known && before.request != digest {
			problem(w, http.StatusConflict, "key_reused", key)
			return
		}
		if !known {
			before = said{request: digest}
			before.media, before.body, err = take(r.PathValue("id"), r.PathValue("device"), body)
			if err != nil {
				f.faults = append(f.faults, err)
				problem(w, http.StatusUnprocessableEntity, "invalid", err.Error())
				return
			}
			f.said[key] = before
		}
		if before.body == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", before.media)
		_, _ = w.Write(before.body)
	}
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}

// status tells the partner how far a transfer is.
func (f *foreign) status(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.deals[r.PathValue("id")]
	if d == nil {
		problem(w, http.StatusNotFound, "unknown", r.PathValue("id"))
		return
	}
	devices := []map[string]string{}
	for _, short := range slices.Sorted(maps.Keys(d.devices)) {
		row := map[string]string{"device": short, "state": d.devices[short].state}
		if verdict := d.devices[short].verdict; verdict != nil {
			row["verdict"] = base64.StdEncoding.EncodeToString(verdict)
		}
		devices = append(devices, row)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"transfer": hex.EncodeToString(d.id), "state": d.state, "devices": devices,
	})
}

// find returns a device in a deal; f.mu is held.
func (f *foreign) find(id, device string, incoming bool) (*deal, *switching, error) {
	d := f.deals[id]
	if d == nil || d.incoming != incoming || d.devices[device] == nil {
		return nil, nil, refused("no device %s in transfer %s", device, id)
	}
	return d, d.devices[device], nil
}

// truststore computes label 27: permanent and pending anchors, or the current
// ones after Finalise.
func (f *foreign) truststore(anchors []purpose, state int) []byte {
	type entry struct {
		_        struct{} `cbor:",toarray"`
		Name     []byte
		Purposes uint64
		Domain   uint64
	}
	entries := []entry{{Name: x5t(f.factory.Raw), Purposes: enrolCA | fallback, Domain: 0}}
	if f.owner != nil {
		entries = append(entries, entry{Name: x5t(f.owner.signing.Raw), Purposes: mandates, Domain: 0})
	}
	for _, a := range anchors {
		e := entry{Name: x5t(a.Name), Purposes: a.Purposes, Domain: 1}
		if state == ready {
			e.Purposes, e.Domain = e.Purposes&^signers, 2
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return slices.Compare(a.Name, b.Name) })
	return hashOf(encode(entries))
}

// arrived goes on with a device that has registered.
func (f *foreign) arrived(endpoint string, l *link) {
	f.mu.Lock()
	var d *deal
	var s *switching
	for _, one := range f.deals {
		for _, device := range one.devices {
			if one.incoming && device.endpoint == endpoint && device.committed() && !device.busy {
				d, s = one, device
				s.busy = true
			}
		}
	}
	f.mu.Unlock()
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := f.takeOver(ctx, d, s, l); err != nil && !errors.Is(err, context.Canceled) {
		f.fault(err)
	}
}
