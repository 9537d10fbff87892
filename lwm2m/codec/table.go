package codec

import (
	"time"

	"steward/lwm2m"
)

// request is what a decoder may need to know beside the body.
type request struct {
	base   lwm2m.Path
	schema lwm2m.Schema
	now    time.Time
}

// row binds a format to its functions; nil where it cannot.
type row struct {
	ids         []uint16 // the number, then obsolete ones that are understood
	named       bool     // carries whole names, so an alternate path shows
	decode      func(request, []byte) (lwm2m.Pack, error)
	encode      func(lwm2m.Path, lwm2m.Pack) ([]byte, error)
	decodePaths func(body []byte, prefix string) ([]lwm2m.Path, error)
	encodePaths func(paths []lwm2m.Path, prefix string) []byte
}

var rows = []row{}

func lookup(format uint16) (row, bool) {
	for _, r := range rows {
		for _, id := range r.ids {
			if id == format {
				return r, true
			}
		}
	}
	return row{}, false
}
