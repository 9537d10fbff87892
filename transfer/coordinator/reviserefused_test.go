package coordinator_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestRevisionRefused: an information that is signed anew is of the same devices, under
// the same mandate, demands what it demanded, and is later.
func TestRevisionRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.start(t)
		id := w.drafted(t)
		docs, err := w.alpha.store.Documents(t.Context(), id)
		check(t, err)
		info, err := transfer.ParseInfo(docs.Info)
		check(t, err)
		mandate, err := transfer.ParseMandate(docs.Mandate)
		check(t, err)
		wider := mandate.Body
		wider.Expires++
		other, err := wider.Sign(w.alpha.signer)
		check(t, err)
		otherSigned, err := transfer.ParseMandate(other)
		check(t, err)
		send := func(change func(*transfer.Info), mandate []byte) error {
			i := info.Body
			i.IssuedAt++
			i.Devices = slices.Clone(i.Devices)
			change(&i)
			raw, err := i.Sign(w.alpha.signer)
			check(t, err)
			body, err := json.Marshal(coordinator.Submission{Info: string(raw), Mandate: mandate})
			check(t, err)
			_, err = w.beta.coordinator().Receive(t.Context(), w.beta.partner(t, w.alpha), coordinator.Call{
				Action: coordinator.ActionInfo, Key: string(raw[len(raw)-20:]), Body: body,
			})
			return err
		}
		demand := func(i *transfer.Info) {
			for k := range i.Devices {
				ra := transfer.RAInfo{}
				if known := i.Devices[k].Switch.RA; known != nil {
					ra = *known
				}
				ra.Verifier = "https://verifier.example"
				i.Devices[k].Switch.RA = &ra
			}
		}
		for _, test := range []struct {
			name    string
			change  func(*transfer.Info)
			mandate []byte
			want    error
		}{
			{"one device fewer", func(i *transfer.Info) { i.Devices = i.Devices[:1] }, docs.Mandate, coordinator.ErrInvalid},
			{"another verifier", demand, docs.Mandate, coordinator.ErrInvalid},
			{
				"another mandate", func(i *transfer.Info) { i.Mandate = otherSigned.Hash }, other, coordinator.ErrInvalid,
			},
			{"not later", func(i *transfer.Info) { i.IssuedAt-- }, docs.Mandate, coordinator.ErrState},
		} {
			if err := send(test.change, test.mandate); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
		check(t, send(func(*transfer.Info) {}, docs.Mandate))
		w.is(t, id, transfer.BatchInfoAccepted, transfer.BatchInfoAccepted)
	})
}
