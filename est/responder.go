package est

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Statuses of a Standing.
const (
	standingGood    = ocsp.Good
	standingRevoked = ocsp.Revoked
	standingUnknown = ocsp.Unknown
)

// Defaults of ResponderOptions.
const (
	DefaultAnswerValidity = 12 * time.Hour
	defaultSignRate       = 500       // answers a second: a few hundredths of a core
	defaultAnswers        = 32 * 1024 // about 30 MiB
)

// ResponderOptions says how statuses are signed.
type ResponderOptions struct {
	Key crypto.Signer // the responder's own; required
	// Validity is how long an answer is good for who keeps it; zero:
	// DefaultAnswerValidity. It is signed anew at half of it.
	Validity time.Duration
	// SignRate bounds the answers a second that are signed for who asks, rather than
	// ahead: those with a nonce, about several certificates, or about none of ours.
	// Zero: 500.
	SignRate int
	// Answers bounds those kept; zero: 32,768.
	Answers int
}

// A Responder answers for the state of certificates: by OCSP (RFC 6960, RFC 5019)
// and by compact signed statuses. Answers are signed ahead and kept; one that says
// "good" is dropped before its certificate's revocation is acknowledged. It is safe
// for concurrent use.
type Responder struct {
	ca   *CA
	o    ResponderOptions
	kept presigned

	mu        sync.Mutex
	delegates []*delegate
	fresh     allowance // of SignRate
	counts    ResponderCounts
}

// ResponderCounts count answers since the start.
type ResponderCounts struct {
	Presigned uint64 // from what was signed before
	Signed    uint64 // for who asked
	Refused   uint64 // malformed, about foreign issuers, or too many
}

// NewResponder validates o. Renew must be called before the first question.
func NewResponder(ca *CA, o ResponderOptions) (*Responder, error) {
	if o.Key == nil || o.Validity < 0 || o.Validity > renewDelegate || o.SignRate < 0 || o.Answers < 0 {
		return nil, fmt.Errorf("%w: a responder needs a key, answers of at most %v", ErrOptions, renewDelegate)
	}
	if o.Validity == 0 {
		o.Validity = DefaultAnswerValidity
	}
	if o.SignRate == 0 {
		o.SignRate = defaultSignRate
	}
	if o.Answers == 0 {
		o.Answers = defaultAnswers
	}
	r := &Responder{ca: ca, o: o, kept: presigned{most: o.Answers, kept: map[answerKey]*slot{}}}
	ca.ledger.watch(func(rev Revocation) { r.kept.drop(rev.Issuer, rev.Serial) })
	return r, nil
}

// Renew sees that the responder has a certificate of each authority which is good
// for a while. It is to be called at start and now and then. An authority that has
// expired has no responder. After an error the others have theirs.
func (r *Responder) Renew(ctx context.Context) error {
	var all []*delegate
	var failed []error
	changed := false
	for _, a := range r.ca.Authorities() {
		d := r.delegateOf(a.Hash())
		if !r.lasts(ctx, d) {
			fresh, err := r.ca.newDelegate(ctx, a, r.o.Key)
			if errors.Is(err, ErrExpired) {
				continue
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("responder for %s: %w", a.Certificate.Subject, err))
				fresh = d // which may be good for some days
			}
			changed = changed || fresh != d
			d = fresh
		}
		if d != nil {
			all = append(all, d)
		}
	}
	r.mu.Lock()
	r.delegates = all
	r.mu.Unlock()
	if changed {
		r.kept.reset()
	}
	return errors.Join(failed...)
}

// lasts reports whether a delegate's certificate is good for a while.
func (r *Responder) lasts(ctx context.Context, d *delegate) bool {
	now := r.ca.now()
	return d != nil && now.Add(renewDelegate).Before(d.cert.NotAfter) &&
		r.ca.Live(ctx, sha256.Sum256(d.cert.Raw), now) == nil
}

func (r *Responder) delegateOf(issuer Hash) *delegate {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.delegates {
		if d.issuer == issuer {
			return d
		}
	}
	return nil
}

// find returns the delegate for the issuer that id names.
func (r *Responder) find(id certID) *delegate {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.delegates {
		for _, i := range d.ids {
			if i.hash == id.hash && i.name == id.name && i.key == id.key {
				return d
			}
		}
	}
	return nil
}

// maySign counts one more answer that is signed for who asks.
func (r *Responder) maySign() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait, _ := r.fresh.take(r.ca.now(), r.o.SignRate, time.Second/time.Duration(r.o.SignRate))
	return wait <= 0
}

func (r *Responder) count(which func(*ResponderCounts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	which(&r.counts)
}

// window returns thisUpdate and nextUpdate of an answer made now by d.
func (r *Responder) window(d *delegate, now time.Time) (this, next time.Time) {
	this, next = now.Truncate(time.Second), now.Add(r.o.Validity).Truncate(time.Second)
	if next.After(d.cert.NotAfter) {
		next = d.cert.NotAfter
	}
	return this, next
}

// refreshMost is how many answers one Refresh signs anew.
const refreshMost = 2000

// Refresh signs anew what is past half of its time, and was asked for since.
func (r *Responder) Refresh(ctx context.Context) error {
	for _, k := range r.kept.due(r.ca.now(), refreshMost) {
		d := r.delegateOf(k.issuer)
		id, ok := r.kept.id(k)
		if d == nil || !ok {
			continue
		}
		if _, err := r.make(ctx, d, k, id); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return nil
}

// make signs an answer about one certificate and keeps it. It returns ErrUnknown for
// one that is none of ours.
func (r *Responder) make(ctx context.Context, d *delegate, k answerKey, id certID) (answer, error) {
	now := r.ca.now()
	s := r.kept.begin(k, id)
	standing, err := r.ca.standing(ctx, k.issuer, k.serial, now)
	if err == nil && standing.Status == standingUnknown {
		err = fmt.Errorf("%w: serial %s", ErrUnknown, k.serial)
	}
	var a answer
	if err == nil {
		a.this, a.next = r.window(d, now)
		if k.form == 0 {
			a.body, err = d.signStatus(r.ca, k.serial, standing, a)
		} else {
			a.body, err = d.sign(r.ca, ocspAnswer{
				certs: []certID{id}, standings: []Standing{standing}, this: a.this, next: a.next,
			})
		}
	}
	if err != nil {
		r.kept.end(k, s, nil)
		return answer{}, err
	}
	r.kept.end(k, s, &a)
	return a, nil
}

// ResponderState is what is known of a responder.
type ResponderState struct {
	Counts  ResponderCounts
	Answers int       // kept
	Next    time.Time // when the first of them ends
	Until   time.Time // when the current authority's delegation ends; zero: there is none
}

// State returns what is known now.
func (r *Responder) State() ResponderState {
	var s ResponderState
	s.Answers, s.Next = r.kept.count()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Counts = r.counts
	if len(r.delegates) > 0 {
		s.Until = r.delegates[0].cert.NotAfter
	}
	return s
}
