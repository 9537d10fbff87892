package webtest

import (
	"context"

	"steward/web"
)

// Publication implements web.Publications.
func (f *Fake) Publication(context.Context) (web.Publication, error) {
	return web.Publication{
		At: Noon, URL: f.Text,
		Lists: []web.PublishedList{{
			Issuer: ID, Path: f.Text, Number: "7", Entries: 3, Bytes: 512, MadeAt: Noon, NextUpdate: Noon, Pending: true,
		}},
		Responder: web.ResponderState{Until: Noon, Kept: 2, NextEnd: Noon, Presigned: 9, Signed: 4, Refused: 1},
	}, nil
}
