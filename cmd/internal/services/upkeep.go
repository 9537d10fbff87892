package services

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/web"
)

// A Reconciler is the part of web.Upkeep that is about restores.
type Reconciler struct {
	DB  *sqlite.DB
	CA  *est.CA
	Now func() time.Time
}

// Restoration implements web.Upkeep.
func (s Reconciler) Restoration(ctx context.Context) (web.Restoration, error) {
	r, there, err := s.DB.Restoration(ctx)
	if err != nil || !there {
		return web.Restoration{}, translate(err)
	}
	_, waiting, err := s.DB.RestoredRights(ctx, est.Hash{}, 1)
	return web.Restoration{
		Restored: true, At: r.At, TakenAt: r.TakenAt, RightsClosed: r.Closed, RightsWaiting: waiting,
		OperationsCancelled: r.Cancelled, SessionsEnded: r.Sessions, Tokens: r.Tokens,
		CampaignsUnderWay: r.Campaigns, TransfersUnderWay: r.Transfers,
	}, translate(err)
}

// ListRestoredRights implements web.Upkeep.
func (s Reconciler) ListRestoredRights(ctx context.Context, p web.Page) (out web.List[web.RestoredRight], err error) {
	after, err := parseFactory("page_token", p.After)
	if err != nil {
		return out, err
	}
	rights, _, err := s.DB.RestoredRights(ctx, after, p.Size+1)
	if err != nil {
		return out, translate(err)
	}
	if len(rights) > p.Size {
		rights = rights[:p.Size]
		out.Next = hex.EncodeToString(rights[p.Size-1].Factory[:])
	}
	for _, r := range rights {
		out.Items = append(out.Items, web.RestoredRight{Factory: hex.EncodeToString(r.Factory[:]), Endpoint: r.Endpoint})
	}
	return out, nil
}

func parseFactory(field, text string) (h est.Hash, err error) {
	if text == "" {
		return h, nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, web.Invalid(field, "the hexadecimal SHA-256 of a factory certificate")
	}
	copy(h[:], raw)
	return h, nil
}

// Reconcile implements web.Upkeep.
func (s Reconciler) Reconcile(ctx context.Context, by web.Actor, c web.Reconciliation) (web.Restoration, error) {
	_, there, err := s.DB.Restoration(ctx)
	if err != nil {
		return web.Restoration{}, translate(err)
	}
	if !there {
		return web.Restoration{}, conflict("nothing was restored from a backup, or somebody is done with it")
	}
	if err := checkText("reason", c.Reason, maxReconcileReason); err != nil {
		return web.Restoration{}, err
	}
	switch c.Action {
	case web.ReconcileOpen:
		err = s.open(ctx, by, c)
	case web.ReconcileEnd:
		err = s.DB.EndRestoration(ctx, by.String(), c.Reason, s.Now())
	default:
		err = web.Invalid("action", "open or end")
	}
	if err != nil {
		return web.Restoration{}, translate(err)
	}
	return s.Restoration(ctx)
}

// maxReconcileReason bounds what people write, in bytes.
const maxReconcileReason = 500

// open opens the rights of c that wait.
func (s Reconciler) open(ctx context.Context, by web.Actor, c web.Reconciliation) error {
	if c.All == (len(c.Factories) > 0) {
		return web.Invalid("factories", "the rights to be opened, or all")
	}
	ca := s.CA.As(by.String())
	if c.All {
		return s.openAll(ctx, ca)
	}
	for _, text := range c.Factories {
		h, err := parseFactory("factories", text)
		if err == nil {
			err = s.openOne(ctx, ca, h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s Reconciler) openAll(ctx context.Context, ca *est.CA) error {
	var after est.Hash
	for {
		some, _, err := s.DB.RestoredRights(ctx, after, web.MaxPageSize)
		if err != nil || len(some) == 0 {
			return err
		}
		for _, r := range some {
			if err := s.openOne(ctx, ca, r.Factory); err != nil {
				return err
			}
			after = r.Factory
		}
	}
}

// openOne opens a right for the key that it was bound to.
func (s Reconciler) openOne(ctx context.Context, ca *est.CA, factory est.Hash) error {
	waits, err := s.DB.RestoredRightWaits(ctx, factory)
	if err != nil {
		return err
	}
	if !waits {
		return notFound("right that waits", hex.EncodeToString(factory[:]))
	}
	if _, err := ca.OpenRight(ctx, factory, est.Hash{}); err != nil && !errors.Is(err, est.ErrUnknown) {
		return fmt.Errorf("right of %x: %w", factory[:8], err)
	}
	return s.DB.ForgetRestoredRight(ctx, factory)
}
