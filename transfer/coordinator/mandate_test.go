package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestGiveMandate: a draft is signed for by the service user, who was shown what it is
// for, and goes by that; so does a device that was given the user's certificate in the
// factory, and one that was not.
func TestGiveMandate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		user := newUser(t, w)
		w.owner = user.signer.Certificate
		w.devices = append(w.devices, newDevice(t, w, w.alpha, "urn:dev:os:32473-9999")) // demands it
		for _, p := range []*provider{w.alpha, w.beta} {
			_, err := p.c.AddPartner(t.Context(), user.file, "", "operator:carol")
			check(t, err)
		}
		w.alpha.change = func(o *coordinator.Options) {
			o.Member = func(_ context.Context, group string, id fleet.ID) (bool, error) {
				return group == "all" || group == "first" && id == w.devices[0].id(w.alpha), nil
			}
		}
		w.alpha.open(t)
		w.start(t)
		ctx, c := t.Context(), w.alpha.coordinator()
		draft, err := c.Draft(ctx, coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Actor: "operator:alice",
			Devices: []fleetID{w.devices[0].id(w.alpha), w.devices[1].id(w.alpha)},
			Window:  transfer.NewWindow(time.Time{}, time.Now().Add(time.Hour)),
		})
		check(t, err)
		request, err := c.RequestMandate(ctx, draft.ID)
		check(t, err)
		if len(request.Devices) != 2 || request.From != "Alpha" || request.To != "Beta" {
			t.Fatalf("request: %+v", request)
		}
		refuseMandates(t, c, draft.ID, request, user.signer)
		for _, r := range []transfer.MandateRequest{
			with(request, func(r *transfer.MandateRequest) { r.Devices, r.Group = nil, "all" }),
			with(request, func(r *transfer.MandateRequest) { r.Devices, r.Group = nil, "urn:dev:os:32473-*" }),
			request,
		} {
			got, err := c.GiveMandate(ctx, draft.ID, "operator:alice", signed(t, r, user.signer))
			if err != nil || got.Self || got.MandateIssuer != "User" || got.State != transfer.BatchDraft {
				t.Fatalf("GiveMandate for %q = %+v, %v", r.Group, got, err)
			}
		}
		_, err = c.Submit(ctx, draft.ID, "operator:alice")
		check(t, err)
		_, err = c.GiveMandate(ctx, draft.ID, "x", signed(t, request, user.signer))
		if !errors.Is(err, coordinator.ErrState) {
			t.Errorf("GiveMandate to what is submitted = %v, want ErrState", err)
		}
		if _, err := c.RequestMandate(ctx, draft.ID); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("RequestMandate of what is submitted = %v, want ErrState", err)
		}
		w.approve(t, w.beta, draft.ID, transfer.BatchInfoAccepted)
		w.approve(t, w.alpha, draft.ID, transfer.BatchOffered)
		w.drive(t, draft.ID)
		w.moved(t, draft.ID)
		for _, p := range []*provider{w.alpha, w.beta} {
			if report, _ := p.record(t, draft.ID); !report.Proved {
				t.Errorf("%s: not proved: %q", p.name, unproved(report))
			}
		}
	})
}

func with(r transfer.MandateRequest, change func(*transfer.MandateRequest)) transfer.MandateRequest {
	change(&r)
	return r
}

func signed(tb testing.TB, r transfer.MandateRequest, by transfer.Signer) []byte {
	tb.Helper()
	raw, err := r.Mandate("User", time.Now(), make([]byte, 16)).Sign(by)
	check(tb, err)
	return raw
}

// refuseMandates gives a draft mandates that are not for it.
func refuseMandates(
	t *testing.T, c *coordinator.Coordinator, id string, r transfer.MandateRequest, by transfer.Signer,
) {
	t.Helper()
	for name, change := range map[string]func(*transfer.MandateRequest){
		"another receiver": func(r *transfer.MandateRequest) { r.To = "Gamma" },
		"another giver":    func(r *transfer.MandateRequest) { r.From = "Gamma" },
		"one device":       func(r *transfer.MandateRequest) { r.Devices = r.Devices[:1] },
		"a short window":   func(r *transfer.MandateRequest) { r.Latest = r.Latest.Add(-time.Minute) },
		"other names":      func(r *transfer.MandateRequest) { r.Devices, r.Group = nil, "lamp-*" },
		"a group of one":   func(r *transfer.MandateRequest) { r.Devices, r.Group = nil, "first" },
		"unknown group":    func(r *transfer.MandateRequest) { r.Devices, r.Group = nil, "others" },
	} {
		_, err := c.GiveMandate(t.Context(), id, "x", signed(t, with(r, change), by))
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("GiveMandate for %s = %v, want ErrInvalid", name, err)
		}
	}
}
