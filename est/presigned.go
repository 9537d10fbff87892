package est

import (
	"crypto"
	"sync"
	"time"
)

// An answer is signed and may be given to everybody until next.
type answer struct {
	body       []byte
	this, next time.Time
}

// An answerKey names an answer: the certificate, and the form. Form zero is the
// compact one, others the hash algorithm by which OCSP asked.
type answerKey struct {
	issuer Hash
	serial string
	form   crypto.Hash
}

// presigned keeps answers about certificates that exist, up to a number. One that
// is being made when its certificate is revoked is not kept.
type presigned struct {
	most int

	mu   sync.Mutex
	kept map[answerKey]*slot
}

// A slot is an answer, or the place of one that is being made.
type slot struct {
	answer

	id    certID // to make it again
	asked bool   // since it was made
}

// get returns an answer that may be given at now.
func (p *presigned) get(k answerKey, now time.Time) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.kept[k]
	if s == nil || s.body == nil || !now.Before(s.next) || now.Before(s.this) {
		return answer{}, false
	}
	s.asked = true
	return s.answer, true
}

// begin takes the place of an answer before the inventory is asked for its content.
func (p *presigned) begin(k answerKey, id certID) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &slot{id: id}
	if old := p.kept[k]; old != nil {
		s.answer, s.asked = old.answer, old.asked // given until the new one is there
	}
	p.kept[k] = s
	return s
}

// end keeps what begin took the place for, unless the certificate was revoked
// meanwhile, or somebody else began later. Nil gives the place free.
func (p *presigned) end(k answerKey, s *slot, a *answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.kept[k] != s:
	case a == nil:
		delete(p.kept, k)
	default:
		s.answer, s.asked = *a, false
		p.shrink(k)
	}
}

// shrink makes room for the answer just made.
func (p *presigned) shrink(made answerKey) {
	for other := range p.kept { // any: the order of a map is random
		if len(p.kept) <= p.most {
			return
		}
		if other != made {
			delete(p.kept, other)
		}
	}
}

// drop forgets all that is said of a certificate.
func (p *presigned) drop(issuer Hash, serial string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, answerKey{issuer, serial, 0})
	for _, a := range hashAlgorithm {
		delete(p.kept, answerKey{issuer, serial, a.hash})
	}
}

// reset forgets everything: who signs has changed.
func (p *presigned) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = map[answerKey]*slot{}
}

// due returns up to most answers that are past half of their time and were asked
// for; those past it that were not are forgotten.
func (p *presigned) due(now time.Time, most int) (out []answerKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, s := range p.kept {
		if s.body == nil || now.Sub(s.this) < s.next.Sub(s.this)/2 {
			continue
		}
		if !s.asked {
			delete(p.kept, k)
			continue
		}
		if out = append(out, k); len(out) == most {
			break
		}
	}
	return out
}

// count returns how many answers are kept, and when the next of them ends.
func (p *presigned) count() (n int, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.kept {
		if s.body == nil {
			continue
		}
		n++
		if next.IsZero() || s.next.Before(next) {
			next = s.next
		}
	}
	return n, next
}

func (p *presigned) id(k answerKey) (certID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.kept[k]
	if s == nil {
		return certID{}, false
	}
	return s.id, true
}
