package transfer_test

import (
	"errors"
	"testing"
	"time"

	"steward/transfer"
)

// TestCompareRight: what the outgoing provider believes of the other CA's right.
func TestCompareRight(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) transfer.Seconds { return transfer.SecondsOf(now.Add(-d)) }
	tests := []struct {
		name            string
		change          func(*transfer.RightStatus, *transfer.RightContext)
		enrolled, right error
	}{
		{"sound", func(*transfer.RightStatus, *transfer.RightContext) {}, nil, nil},
		{"another device", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.Factory = transfer.Hash{9}
		}, transfer.ErrRight, transfer.ErrRight},
		{"as old as may be", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.IssuedAt = before(transfer.RightStatusAge)
		}, nil, nil},
		{"older", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.IssuedAt = before(transfer.RightStatusAge + time.Second)
		}, transfer.ErrRight, transfer.ErrRight},
		{"of tomorrow", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.IssuedAt = before(-24 * time.Hour)
		}, transfer.ErrRight, transfer.ErrRight},
		{"open", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.State = transfer.RightOpen
		}, transfer.ErrRight, nil},
		{"suspended", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.State = transfer.RightSuspended
		}, transfer.ErrRight, nil},
		{"nothing issued", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.Issued = transfer.Hash{}
		}, transfer.ErrRight, nil},
		{"another key", func(s *transfer.RightStatus, _ *transfer.RightContext) {
			s.SPKI = transfer.Hash{9}
		}, transfer.ErrRightKey, nil},
		{"a fresh key", func(s *transfer.RightStatus, c *transfer.RightContext) {
			s.SPKI, c.Renewed = transfer.Hash{9}, true
		}, nil, nil},
		{"key not known", func(_ *transfer.RightStatus, c *transfer.RightContext) { c.SPKI = transfer.Hash{} }, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := transfer.RightStatus{IssuedAt: before(0), RightStatusTerms: transfer.RightStatusTerms{
				Factory: transfer.Hash{1}, State: transfer.RightConsumed, SPKI: transfer.Hash{2}, Issued: transfer.Hash{3},
			}}
			c := transfer.RightContext{Factory: transfer.Hash{1}, SPKI: transfer.Hash{2}, Now: now}
			test.change(&s, &c)
			if err := transfer.CompareEnrolled(&s, c); !errors.Is(err, test.enrolled) {
				t.Errorf("CompareEnrolled: %v, want %v", err, test.enrolled)
			}
			if err := transfer.CompareClosed(&s, c); !errors.Is(err, transfer.ErrRight) {
				t.Errorf("CompareClosed: %v, want %v", err, transfer.ErrRight)
			}
			s.State, s.SPKI, s.Issued = transfer.RightClosed, transfer.Hash{}, transfer.Hash{}
			if err := transfer.CompareClosed(&s, c); !errors.Is(err, test.right) {
				t.Errorf("CompareClosed, closed: %v, want %v", err, test.right)
			}
		})
	}
}
