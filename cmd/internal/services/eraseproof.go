package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/web"
)

// eraseWait is how long a device that is retired may take to answer, each time.
const eraseWait = 15 * time.Second

// eraseAndProve has a device that is retired erase itself, and sign that it has if it
// knows how. It keeps what is known of that, and what is inferred from its answers alone.
func (s *devices) eraseAndProve(ctx context.Context, by web.Actor, l sqlite.DeviceLine) (said string, err error) {
	r := sqlite.Retirement{Level: web.ErasureNot}
	r.Record, said = s.signedErasure(ctx, l)
	answer, erased := s.erase(ctx, by, l)
	switch {
	case r.Record != nil:
		r.Level = web.ErasureKnown
	case erased:
		r.Level = web.ErasureInferred
	}
	r.At, r.Said = s.Now(), said+answer
	ctx = context.WithoutCancel(ctx) // what is erased does not come back
	if r.Record == nil {
		proved, err := s.provedBefore(ctx, l)
		if err != nil || proved {
			return r.Said + "; it had signed before that its data are erased", err
		}
	}
	return r.Said, s.DB.Devices().PutRetirement(ctx, l.ID, r)
}

// provedBefore reports whether a device signed that it is erased and has not been here
// since: its retiring was cut off then, and is asked for once more.
func (s *devices) provedBefore(ctx context.Context, l sqlite.DeviceLine) (bool, error) {
	r, err := s.view.Retirement(ctx, l.ID)
	if errors.Is(err, fleet.ErrUnknown) {
		return false, nil
	}
	return err == nil && len(r.Record) > 0 && !l.SeenAt.After(r.At), err
}

// signedErasure asks a device for its signature; nil: it gives none.
func (s *devices) signedErasure(ctx context.Context, l sqlite.DeviceLine) (record []byte, said string) {
	if s.Retire == nil || l.Factory == (fleet.Factory{}) {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, eraseWait)
	defer cancel()
	record, err := s.Retire(ctx, l.ID, l.Factory)
	switch {
	case err == nil:
		return record, fmt.Sprintf("it has signed that its data are erased (SHA-256 %x); ", sha256.Sum256(record))
	case errors.Is(err, ErrDeviceRefused):
		return nil, printable("no receipt: "+err.Error()) + "; "
	}
	return nil, "" // what follows says that it is silent
}

// erase tells a device to go back to the state of delivery, and says what became of it.
func (s *devices) erase(ctx context.Context, by web.Actor, l sqlite.DeviceLine) (said string, done bool) {
	ctx, cancel := context.WithTimeout(ctx, eraseWait)
	defer cancel()
	reset := web.Operation{Kind: web.OpExecute, Path: lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFactoryReset)}
	out, err := (&operations{s.base}).Do(ctx, by, string(l.ID), reset)
	switch {
	case err != nil:
		return printable("not erased: " + err.Error()), false
	case out.Pending != nil:
		return "not erased: it sleeps", false
	}
	return "it has answered that it erases itself", true
}
