package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/est/esttest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestRightOfTheOtherCA: a device enrols at Beta and cannot register there. Alpha learns
// that by the signed status of Beta's CA: it knows it. A status that is not Beta's, or
// not of the device, leaves it with what Beta says.
func TestRightOfTheOtherCA(t *testing.T) {
	for name, forge := range map[string]func(w *world, s transfer.RightStatus) []byte{
		"signed by the CA": nil,
		"signed by another": func(w *world, s transfer.RightStatus) []byte {
			raw, err := s.Sign(transfer.Signer{Key: esttest.Key(w.t), Certificate: w.alpha.signer.Certificate})
			check(w.t, err)
			return raw
		},
		"of another device": func(w *world, s transfer.RightStatus) []byte {
			s.Factory = transfer.Hash{1}
			raw, err := s.Sign(w.beta.signer)
			check(w.t, err)
			return raw
		},
		"of yesterday": func(w *world, s transfer.RightStatus) []byte {
			s.IssuedAt -= 24 * 3600
			raw, err := s.Sign(w.beta.signer)
			check(w.t, err)
			return raw
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.alpha.change = func(o *coordinator.Options) { o.Peers = forger{o.Peers, w, forge} }
				w.alpha.open(t)
				w.beta.domain.Grace = time.Hour
				w.beta.open(t)
				w.beta.noDM = true
				w.start(t)
				id := w.handOver(t)
				time.Sleep(5 * time.Minute)
				rows, err := w.alpha.store.ListRows(t.Context(), id, "", 10)
				check(t, err)
				r := rows[0]
				if r.State != transfer.RowEnrolled || r.Inferred == (forge == nil) || (r.Right != nil) != (forge == nil) {
					t.Errorf("%s, inferred %t, %d bytes of status (%s)", r.State, r.Inferred, len(r.Right), r.Reason)
				}
				w.beta.mu.Lock()
				w.beta.noDM = false
				w.beta.mu.Unlock()
				time.Sleep(30 * time.Minute)
				w.moved(t, id)
				if _, err := w.beta.coordinator().RightFor(t.Context(), coordinator.Partner{ID: "x"}, id, r.Short); !errors.Is(
					err, coordinator.ErrUnknown) {
					t.Errorf("RightFor a stranger: %v", err)
				}
				_, err = w.alpha.coordinator().RightFor(t.Context(), w.alpha.partner(t, w.beta), id, r.Short)
				if !errors.Is(err, coordinator.ErrState) {
					t.Errorf("RightFor at Alpha: %v", err)
				}
			})
		})
	}
}

// TestRightOfARenewedDevice: a device that was updated before it enrolled has renewed its
// certificate with a fresh key, as it has to, before Alpha asks Beta's CA. That is no key
// to be alarmed about.
func TestRightOfARenewedDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.gates = &coordinator.Gates{UpdateFirst: true}
		w.beta.domain.Grace = time.Hour
		w.beta.open(t)
		w.beta.noDM = true
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		rows, err := w.alpha.store.ListRows(t.Context(), id, "", 10)
		check(t, err)
		r := rows[0]
		status, err := transfer.ParseRightStatus(r.Right)
		if err != nil || status.Body.SPKI == r.SPKI || r.State != transfer.RowEnrolled || r.Inferred || r.Reason != "" {
			t.Errorf("%s, inferred %t (%s), status %+v, %v", r.State, r.Inferred, r.Reason, status, err)
		}
		w.beta.mu.Lock()
		w.beta.noDM = false
		w.beta.mu.Unlock()
		time.Sleep(30 * time.Minute)
		w.moved(t, id)
	})
}

// A forger answers with a status of its own making.
type forger struct {
	coordinator.Peers

	w     *world
	forge func(*world, transfer.RightStatus) []byte
}

func (f forger) Right(ctx context.Context, to coordinator.Partner, id, device string) ([]byte, error) {
	raw, err := f.Peers.Right(ctx, to, id, device)
	if err != nil || f.forge == nil {
		return raw, err
	}
	s, err := transfer.ParseRightStatus(raw)
	if err != nil {
		return nil, err
	}
	return f.forge(f.w, s.Body), nil
}
