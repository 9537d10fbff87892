package queue

import (
	"slices"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

const (
	maxExchanges = 8   // of one operation that are kept
	maxRaw       = 512 // bytes of a body that are kept
)

// secret reports whether what is below one of the paths holds keys: objects Security
// and OSCORE. Of those no bodies are kept, nor of what cannot be told.
func secret(paths string) bool {
	for _, text := range strings.FieldsFunc(paths, func(r rune) bool { return r == ' ' || r == ',' }) {
		if p, err := lwm2m.ParseNode(text); err != nil || p.HoldsKeys() {
			return true
		}
	}
	return false
}

// An Exchange is what is kept of a request to a device and its answer.
type Exchange struct {
	At      time.Time `json:"at"`
	Took    float64   `json:"seconds"`
	Method  string    `json:"method"` // "0.01"
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"`
	Format  int       `json:"format"` // content format of the request; -1: none
	Request []byte    `json:"request,omitempty"`
	Sent    int       `json:"sent"` // length of the request's body
	Code    string    `json:"code"` // "2.05"; "": no answer
	Answer  []byte    `json:"answer,omitempty"`
	As      int       `json:"answer_format"` // -1: none
	Got     int       `json:"got"`           // length of the answer's body
	Error   string    `json:"error,omitempty"`
}

// keep returns what is kept of an exchange, without bodies if they are hidden.
func keep(e server.Exchange, hidden bool) Exchange {
	out := Exchange{
		At: e.Began.UTC(), Took: e.Took.Seconds(),
		Method: e.Request.Method.String(), Path: "/" + strings.Join(e.Request.Path, "/"),
		Query: strings.Join(e.Request.Query, "&"), Format: format(e.Request.ContentFormat),
		Sent: len(e.Request.Payload), As: -1,
	}
	if !hidden {
		out.Request = raw(e.Request.Payload)
	}
	if r := e.Response; r != nil {
		out.Code, out.As, out.Got = r.Code.String(), format(r.ContentFormat), len(r.Payload)
		if !hidden {
			out.Answer = raw(r.Payload)
		}
	}
	if e.Err != nil {
		out.Error = cut(e.Err.Error())
	}
	return out
}

func format(f coap.Format) int {
	if id, ok := f.ID(); ok {
		return int(id)
	}
	return -1
}

func raw(b []byte) []byte { return slices.Clone(b[:min(len(b), maxRaw)]) }
