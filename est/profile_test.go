package est_test

import (
	"errors"
	"testing"
	"time"

	"steward/est"
)

func TestNewProfile(t *testing.T) {
	ok := est.ProfileOptions{Name: "p", Kind: est.KindOperational, Validity: time.Hour}
	tests := []struct {
		name   string
		change func(*est.ProfileOptions)
		err    error
	}{
		{"as it is", func(*est.ProfileOptions) {}, nil},
		{"no expiry", func(o *est.ProfileOptions) { o.NoExpiry, o.Validity = true, 0 }, nil},
		{"no name", func(o *est.ProfileOptions) { o.Name = "" }, est.ErrProfile},
		{"unknown kind", func(o *est.ProfileOptions) { o.Kind = "other" }, est.ErrProfile},
		{"kind that is never issued", func(o *est.ProfileOptions) { o.Kind = est.KindFactoryCA }, est.ErrProfile},
		{"no validity", func(o *est.ProfileOptions) { o.Validity = 0 }, est.ErrProfile},
		{"negative validity", func(o *est.ProfileOptions) { o.Validity = -time.Hour }, est.ErrProfile},
		{"leaf for a century", func(o *est.ProfileOptions) { o.Validity = 100 * 8766 * time.Hour }, est.ErrProfile},
		{"validity and no expiry", func(o *est.ProfileOptions) { o.NoExpiry = true }, est.ErrProfile},
		{"backdated by a month", func(o *est.ProfileOptions) { o.Backdate = 720 * time.Hour }, est.ErrProfile},
		{"postdated", func(o *est.ProfileOptions) { o.Backdate = -time.Hour }, est.ErrProfile},
		{"leaf with path length", func(o *est.ProfileOptions) { o.PathLen = 1 }, est.ErrProfile},
		{"unknown key", func(o *est.ProfileOptions) { o.Keys = []est.KeyAlgorithm{"RSA"} }, est.ErrProfile},
		{"deep CA", func(o *est.ProfileOptions) { o.Kind, o.PathLen = est.KindIssuing, 9 }, est.ErrProfile},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := ok
			tt.change(&o)
			p, err := est.NewProfile(o)
			if !errors.Is(err, tt.err) {
				t.Fatalf("NewProfile = %v, want %v", err, tt.err)
			}
			if err == nil && (p.Name() != o.Name || p.Kind() != o.Kind) {
				t.Errorf("profile %s %s", p.Name(), p.Kind())
			}
		})
	}
}

func TestReasonCode(t *testing.T) {
	tests := []struct {
		in   est.Reason
		want int
		err  error
	}{
		{est.Unspecified, 0, nil},
		{est.KeyCompromise, 1, nil},
		{est.Superseded, 4, nil},
		{est.CessationOfOperation, 5, nil},
		{est.PrivilegeWithdrawn, 9, nil},
		{"", 0, est.ErrReason},
		{"certificateHold", 0, est.ErrReason},
	}
	for _, tt := range tests {
		if got, err := tt.in.Code(); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Code(%q) = %d, %v, want %d, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}
