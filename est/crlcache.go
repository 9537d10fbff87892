package est

import (
	"context"
	"sync"
	"time"
)

// Defaults of CRLOptions.
const (
	DefaultCRLValidity = 24 * time.Hour
	DefaultCRLDelay    = 5 * time.Second // what relying parties are told in (transfer protocol §7)
)

// CRLOptions says how CRLs are published.
type CRLOptions struct {
	Validity time.Duration // to nextUpdate; zero: DefaultCRLValidity
	// Delay is how long a CRL is served after a revocation that is not on it; zero:
	// DefaultCRLDelay. Making one signs, which nobody may ask for at will.
	Delay time.Duration
}

// CRLs keeps CRLs between requests. A list is made anew when somebody asks for it,
// and something was revoked since, or a quarter of its validity has passed. It is
// safe for concurrent use.
type CRLs struct {
	ca *CA
	o  CRLOptions

	mu    sync.Mutex
	kept  map[CRLScope]*keptCRL
	order []CRLScope
}

// A keptCRL is one list and what it was made of.
type keptCRL struct {
	making sync.Mutex // held while it is made: others wait for the same

	mu   sync.Mutex
	crl  CRL
	made time.Time
}

// NewCRLs returns the CRLs of all authorities of ca.
func NewCRLs(ca *CA, o CRLOptions) *CRLs {
	if o.Validity <= 0 {
		o.Validity = DefaultCRLValidity
	}
	if o.Delay <= 0 {
		o.Delay = DefaultCRLDelay
	}
	return &CRLs{ca: ca, o: o, kept: map[CRLScope]*keptCRL{}}
}

// Get returns the CRL of a scope. Its errors are those of CA.CRL. Who asks decides
// which scopes there are: each that was asked for is kept.
func (c *CRLs) Get(ctx context.Context, s CRLScope) (CRL, error) {
	if _, err := c.ca.authorityOf(s.Issuer); err != nil {
		return CRL{}, err
	}
	c.mu.Lock()
	k := c.kept[s]
	if k == nil {
		k = &keptCRL{}
		c.kept[s] = k
		c.order = append(c.order, s)
	}
	c.mu.Unlock()
	if crl, ok := c.fresh(k, s.Issuer); ok {
		return crl, nil
	}
	k.making.Lock()
	defer k.making.Unlock()
	if crl, ok := c.fresh(k, s.Issuer); ok { // made while we waited
		return crl, nil
	}
	return c.make(ctx, k, s)
}

func (c *CRLs) make(ctx context.Context, k *keptCRL, s CRLScope) (CRL, error) {
	crl, err := c.ca.CRL(ctx, s, c.o.Validity)
	if err != nil {
		return CRL{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.crl, k.made = crl, c.ca.now()
	return crl, nil
}

// fresh returns the kept CRL if it may be served.
func (c *CRLs) fresh(k *keptCRL, issuer Hash) (CRL, bool) {
	changed, loaded := c.ca.ledger.changed(issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	age := c.ca.now().Sub(k.made)
	if k.made.IsZero() || !loaded || age < 0 || age >= c.o.Validity/4 || k.crl.changed != changed && age >= c.o.Delay {
		return CRL{}, false
	}
	return k.crl, true
}

// A CRLState is what is known of one published list.
type CRLState struct {
	Scope CRLScope
	CRL
	Made    time.Time
	Pending bool // something was revoked since
}

// State returns the lists that were made, in the order in which they were first
// asked for.
func (c *CRLs) State() []CRLState {
	c.mu.Lock()
	order := append([]CRLScope(nil), c.order...)
	c.mu.Unlock()
	out := make([]CRLState, 0, len(order))
	for _, s := range order {
		c.mu.Lock()
		k := c.kept[s]
		c.mu.Unlock()
		changed, _ := c.ca.ledger.changed(s.Issuer)
		k.mu.Lock()
		if !k.made.IsZero() {
			out = append(out, CRLState{Scope: s, CRL: k.crl, Made: k.made, Pending: k.crl.changed != changed})
		}
		k.mu.Unlock()
	}
	return out
}

// changed returns the count of changes of a list, and whether it was loaded.
func (l *ledger) changed(issuer Hash) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.lists[issuer]
	if list == nil || list.loading {
		return 0, false
	}
	return list.changed, true
}
