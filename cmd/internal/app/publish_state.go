package app

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"

	"steward/est"
	"steward/web"
)

// Publication implements web.Publications. It makes the full CRL of the current
// authority if nobody asked for one yet, and its key can be used.
func (p *publication) Publication(ctx context.Context) (web.Publication, error) {
	if _, err := p.crls.Get(ctx, est.CRLScope{Issuer: p.ca.Authorities()[0].Hash()}); err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "crl", slog.Any("error", err)) // who asks is told what there is
	}
	at := places{parts: p.parts}
	out := web.Publication{At: p.now(), URL: p.url}
	for _, s := range p.crls.State() {
		out.Lists = append(out.Lists, web.PublishedList{
			Issuer: hex.EncodeToString(s.Scope.Issuer[:]), Path: at.crl(s.Scope), Number: strconv.FormatInt(s.Number, 10),
			Entries: s.Entries, Bytes: len(s.DER), MadeAt: s.Made, NextUpdate: s.NextUpdate, Pending: s.Pending,
		})
	}
	r := p.responder.State()
	out.Responder = web.ResponderState{
		Until: r.Until, Kept: r.Answers, NextEnd: r.Next,
		Presigned: r.Counts.Presigned, Signed: r.Counts.Signed, Refused: r.Counts.Refused,
	}
	return out, nil
}
