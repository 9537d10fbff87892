package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// linkFor is how long after a roll-over servers show what leads to the CA before:
// longer than devices' certificates live, so that each has been told of the new one.
const linkFor = 400 * 24 * time.Hour

// A succession is all generations of the key that issues.
type succession struct {
	purpose      keys.Name
	all          est.Generations
	usable       map[int]est.Authority // those whose certificates and keys there are
	active, next *est.KeyGeneration    // next may be nil
	roots        []*x509.Certificate   // all own ones
}

// succession loads the authorities of a purpose.
func (p *pki) succession(ctx context.Context, purpose keys.Name) (*succession, error) {
	s := &succession{purpose: purpose, usable: map[int]est.Authority{}}
	var err error
	if s.all, err = p.life.Generations(ctx, string(purpose)); err != nil {
		return nil, err
	}
	if s.roots, err = p.roots(ctx); err != nil {
		return nil, err
	}
	s.active, s.next = s.all.Of(est.KeyActive), s.all.Of(est.KeyNext)
	for _, g := range s.all {
		a, err := p.authority(nameOf(purpose, g.Number), s.roots)
		switch {
		case err == nil && time.Now().Before(a.Certificate.NotAfter):
			s.usable[g.Number] = a
		case g.State == est.KeyPast && (err == nil || errors.Is(err, keys.ErrNoKey)): // its key may be destroyed
		case err == nil:
			return nil, fmt.Errorf("%w: the certificate of %s has expired", ErrPKI, nameOf(purpose, g.Number))
		default:
			return nil, err
		}
	}
	return s, nil
}

// authorities says what the CA works with: who issues now, who did, and what clients
// of /crts are told beside.
//
// During a roll-over the next authority issues if something leads to it from the
// present one, which is all that devices in the field know; else the present one
// goes on until the end.
func (p *pki) authorities(ctx context.Context, purpose keys.Name, o *est.Options) error {
	s, err := p.succession(ctx, purpose)
	if err != nil {
		return err
	}
	current := s.usable[s.active.Number]
	links, err := p.links(s.newest())
	if err != nil {
		return err
	}
	if s.next != nil {
		other := s.usable[s.next.Number]
		if len(links) > 0 {
			current, other = other, current
		}
		o.ServedByPrevious = len(links) > 0
		o.Previous, o.Published = append(o.Previous, other), append(o.Published, other.Chain()...)
	}
	for _, g := range slices.Backward(s.all) {
		if a, ok := s.usable[g.Number]; ok && g.State == est.KeyPast {
			o.Previous = append(o.Previous, a)
		}
	}
	o.Signer, o.Issuer, o.Parents = current.Signer, current.Certificate, current.Parents
	o.Permanent = purpose == keys.Root || !within(s.roots, o.Parents)
	o.Published = append(o.Published, links...)
	if err := p.publishRoots(ctx, o); err != nil {
		return err
	}
	return p.leadServers(s, links)
}

// newest returns the name of the last generation but those that were withdrawn.
func (s *succession) newest() keys.Name {
	if s.next != nil {
		return nameOf(s.purpose, s.next.Number)
	}
	return nameOf(s.purpose, s.active.Number)
}

// links returns what leads from the authority before to that of the name, and back:
// who knows one of them only comes to trust the other (RFC 7030 §4.1.3).
func (p *pki) links(name keys.Name) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, file := range []keys.Name{name + fileNewWithOld, name + fileOldWithNew} {
		c, err := p.read(file)
		if ignore(err, fs.ErrNotExist) != nil {
			return nil, err
		}
		if err == nil && time.Now().Before(c.NotAfter) {
			out = append(out, c)
		}
	}
	return out, nil
}

// within reports whether those above the issuing CA are all our own.
func within(own, parents []*x509.Certificate) bool {
	return !slices.ContainsFunc(parents, func(c *x509.Certificate) bool { return !slices.ContainsFunc(own, c.Equal) })
}

// publishRoots adds what leads from one root to the other during a roll-over.
func (p *pki) publishRoots(ctx context.Context, o *est.Options) error {
	g, err := p.life.Generations(ctx, string(keys.Root))
	next := g.Of(est.KeyNext)
	if err != nil || next == nil {
		return err
	}
	root, err := p.read(nameOf(keys.Root, next.Number))
	if err != nil {
		return err
	}
	links, err := p.links(nameOf(keys.Root, next.Number))
	o.Published = append(append(o.Published, root), links...)
	return err
}

// leadServers says what servers show to devices after a roll-over: the way to the
// authority before, and by that to the root. Most verifiers take the first issuer
// that fits, so that there can be one way only.
func (p *pki) leadServers(s *succession, links []*x509.Certificate) error {
	p.lead = nil
	before, ok := s.usable[s.active.Number-1]
	if s.next != nil || !ok || len(links) == 0 || time.Since(s.active.ChangedAt) > linkFor {
		return nil
	}
	p.lead = append(p.lead, links[0])
	for _, c := range before.Chain() {
		if c.CheckSignatureFrom(c) != nil {
			p.lead = append(p.lead, c)
		}
	}
	now, then := s.usable[s.active.Number].Parents, before.Parents
	if len(now) == 0 || len(then) == 0 || now[0].Equal(then[0]) {
		return nil
	}
	for n := range s.roots { // the root changed as well
		between, err := p.links(nameOf(keys.Root, n+1))
		if err != nil {
			return err
		}
		for _, c := range between {
			if c.CheckSignatureFrom(now[0]) == nil {
				p.lead = append(p.lead, c)
			}
		}
	}
	return nil
}
