package web

import (
	"context"
	"time"
)

// AttestationRounds has devices prove at intervals what they run. Rules go by tags;
// without any, no device is asked but by people.
type AttestationRounds interface {
	// ListAttestations returns how devices stand with their proofs, in order of their
	// ids: those in a state (unproved, good, bad, mute), "" for all that were ever asked.
	ListAttestations(ctx context.Context, state string, p Page) (List[AttestationRound], error)
	// AttestationRules returns the rules in order of their tags.
	AttestationRules(ctx context.Context) ([]AttestationRule, error)
	// PutAttestationRule stores a rule in place of that of the same tag. It returns
	// ErrConflict where devices have no object that they could be asked by.
	PutAttestationRule(ctx context.Context, by Actor, r AttestationRule) (AttestationRule, error)
	// RemoveAttestationRule deletes the rule of a tag.
	RemoveAttestationRule(ctx context.Context, by Actor, tag string) error
}

// OtherTags stands in rules for the devices that no other rule is for.
const OtherTags = "*"

// An AttestationRule says how often devices prove what they run. Of the rules for the
// tags of a device the shortest counts; 0 is shortest, and says never.
type AttestationRule struct {
	Tag     string `json:"tag"` // OtherTags: of the devices that no other rule is for
	Seconds int    `json:"every_seconds"`
}

// An AttestationRound is how a device stands with its proofs.
type AttestationRound struct {
	Device   string    `json:"device"`
	Endpoint string    `json:"endpoint"`
	State    string    `json:"state"` // unproved, good, bad, mute
	Since    time.Time `json:"since,omitzero"`
	Tier     string    `json:"tier,omitempty"`   // of the last verdict
	Reason   string    `json:"reason,omitempty"` // of the last verdict
	JudgedAt time.Time `json:"judged_at,omitzero"`
	Seconds  int       `json:"every_seconds"` // 0: it is asked by people only
	NextAt   time.Time `json:"next_at,omitzero"`
	Waiting  bool      `json:"waiting"` // it is asked as soon as it listens
	Tries    int       `json:"tries"`   // that failed since the last verdict
	Failure  string    `json:"failure,omitempty"`
}

func (missing) ListAttestations(context.Context, string, Page) (List[AttestationRound], error) {
	return List[AttestationRound]{}, ErrNotBuilt
}

func (missing) AttestationRules(context.Context) ([]AttestationRule, error) { return nil, ErrNotBuilt }

func (missing) PutAttestationRule(context.Context, Actor, AttestationRule) (AttestationRule, error) {
	return AttestationRule{}, ErrNotBuilt
}

func (missing) RemoveAttestationRule(context.Context, Actor, string) error { return ErrNotBuilt }
