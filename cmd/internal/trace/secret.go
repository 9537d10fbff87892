package trace

import (
	"slices"
	"strconv"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// secrecy is what is known of the payloads of a request and its answers.
type secrecy struct {
	rule rule
	base lwm2m.Path // of ruleEntries
}

type rule int

const (
	ruleEntries rule = iota // shown if each value in it may be seen
	ruleClosed              // never shown
	ruleOpen                // holds no secret
)

// secrecy returns that of a message: of a request by its path, of an answer by its
// request. What is not known is treated as if it could be anything.
func (t *tracing) secrecy(sent bool, m *coap.Message, s lwm2m.Schema) secrecy {
	if m.Code.IsRequest() {
		of := requestSecrecy(pathOf(m), sent, s)
		if len(t.requests) >= maxTokens {
			clear(t.requests)
		}
		t.requests[tokenKey{sent, string(m.Token)}] = of
		if m.Code == coap.POST && len(pathOf(m)) == 1 && pathOf(m)[0] == "bspack" {
			return secrecy{rule: ruleOpen}
		}
		return of
	}
	of, ok := t.requests[tokenKey{!sent, string(m.Token)}]
	if !ok {
		return secrecy{}
	}
	return of
}

// requestSecrecy judges a path. Those of our own resources mean nothing in what is sent
// to a device, whose names they may be.
func requestSecrecy(path []string, sent bool, s lwm2m.Schema) secrecy {
	switch {
	case len(path) == 0:
		return secrecy{}
	case sent:
	case path[0] == "dp":
		return secrecy{}
	case slices.Contains(path, "est"):
		for _, part := range path {
			if strings.HasPrefix(part, "sk") || strings.Contains(part, "keygen") {
				return secrecy{rule: ruleClosed}
			}
		}
		return secrecy{rule: ruleOpen}
	case path[0] == "bspack":
		return secrecy{rule: ruleClosed}
	case path[0] == "rd", path[0] == "bs", path[0] == "update", path[0] == ".well-known":
		return secrecy{rule: ruleOpen}
	}
	for len(path) > 0 { // below an alternate path (§6.2.1)
		if _, err := strconv.ParseUint(path[0], 10, 16); err == nil {
			break
		}
		path = path[1:]
	}
	base, err := lwm2m.ParseSegments(path)
	switch {
	case err != nil:
		return secrecy{rule: ruleClosed}
	case base.Len() > 0 && secret(base, s):
		return secrecy{rule: ruleClosed}
	default:
		return secrecy{base: base}
	}
}

// secret reports whether a node holds what nobody may read.
func secret(p lwm2m.Path, s lwm2m.Schema) bool {
	if p.HoldsKeys() {
		return true
	}
	if s == nil || p.Len() < 3 {
		return false
	}
	info, known := s.Resource(p.ID(0), p.ID(2))
	return known && !info.Operations.Has(lwm2m.OpRead) && !info.Operations.Has(lwm2m.OpExecute)
}

// blot overwrites the payload of a datagram if it is, or could be, a secret, and
// reports whether it did.
func blot(datagram []byte, m *coap.Message, malformed error, of secrecy, s lwm2m.Schema) bool {
	const header = 4
	if malformed != nil {
		if len(datagram) <= header {
			return false
		}
		stars(datagram[header:])
		return true
	}
	if len(m.Payload) == 0 || of.rule == ruleOpen || of.rule == ruleEntries && clean(m, of.base, s) {
		return false
	}
	stars(datagram[len(datagram)-len(m.Payload):])
	return true
}

func stars(b []byte) {
	for i := range b {
		b[i] = '*'
	}
}

// clean reports whether a payload can be read, and all in it may be seen.
func clean(m *coap.Message, base lwm2m.Path, s lwm2m.Schema) bool {
	format, has := uintOf(m, optionFormat)
	switch f := uint16(format); { //nolint:gosec // G115: two bytes at most on the wire of ours
	case !has && m.Code.IsResponse() && !m.Code.IsSuccess():
		return true // a diagnostic
	case !has && base.Len() > 2 && m.Code == coap.POST:
		return true // arguments of Execute
	case has && format > 0xffff:
		return false
	case has && (f == codec.Link || f == codec.ETCHJSON || f == codec.ETCHCBOR):
		return true
	case base.Len() > 2: //nolint:mnd // a resource that may be read, whatever its format
		return true
	default:
		entries, err := codec.Decode(f, base, m.Payload, s)
		return has && err == nil && !slices.ContainsFunc(entries, func(e lwm2m.Entry) bool {
			return e.Path.Len() == 0 || secret(e.Path, s)
		})
	}
}
