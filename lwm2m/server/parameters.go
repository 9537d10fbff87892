package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// parameters are those of a Register or Update; nil means absent.
type parameters struct {
	endpoint, version, lifetime, binding, sms, profile *string

	queue    bool
	unknown  []string
	tolerant bool // Options.Tolerant
}

// parseQuery reads the Uri-Query options. Unknown ones are kept and never an
// error (§6.2.1).
func parseQuery(query []string) (p parameters, err error) {
	list, err := lwm2m.ParseQuery(query)
	if err != nil {
		return p, err
	}
	named := map[string]**string{
		"ep": &p.endpoint, "lwm2m": &p.version, "lt": &p.lifetime, "b": &p.binding, "sms": &p.sms, "pid": &p.profile,
	}
	for _, q := range list {
		field, ok := named[q.Name]
		switch {
		case ok && q.Value == "":
			return p, fmt.Errorf("%w: %s without a value", ErrParameter, q.Name)
		case ok:
			*field = &q.Value
		case q.Name == "Q":
			p.queue = true
		default:
			p.unknown = append(p.unknown, q.String())
		}
	}
	return p, nil
}

// enabler returns the enabler version: that of "lwm2m", 1.0 without it.
func (p parameters) enabler() (lwm2m.Version, error) {
	if p.version == nil {
		return lwm2m.Version10, nil
	}
	return lwm2m.ParseVersion(*p.version)
}

// name returns the endpoint name: that of "ep" or, from 1.1 on, that which the
// association proved (§6.2.1).
func (p parameters) name(v lwm2m.Version, who coap.Identity) (lwm2m.Endpoint, error) {
	switch {
	case p.endpoint != nil:
		return lwm2m.ParseEndpoint(*p.endpoint)
	case v == lwm2m.Version10:
		return "", fmt.Errorf("%w: ep is required in LwM2M 1.0", ErrParameter)
	case who.Name == "":
		return "", fmt.Errorf("%w: ep is required without an identity", ErrParameter)
	}
	return lwm2m.ParseEndpoint(who.Name)
}

// parseLifetime reads "lt": seconds, 0 for ever.
func parseLifetime(text string) (time.Duration, error) {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: lt %.40q", ErrParameter, text)
	}
	return time.Duration(seconds) * time.Second, nil
}

// transports are the letters of "b" by version (§6.2.1.2).
var transports = map[lwm2m.Version]string{
	lwm2m.Version10: "US", lwm2m.Version11: "UTSN", lwm2m.Version12: "UTSNMH",
}

// parseBinding reads "b". In 1.0 queue mode is the letter Q in it; later "Q" is
// a parameter of its own, which may change only together with "b". Devices that
// mix both up are understood if tolerant is set.
func parseBinding(v lwm2m.Version, text string, tolerant bool) (letters string, queue bool, err error) {
	letters = text
	if v == lwm2m.Version10 || tolerant {
		before, after, found := strings.Cut(text, "Q")
		letters, queue = before+after, found
	}
	for i, l := range letters {
		if !strings.ContainsRune(transports[v], l) || strings.ContainsRune(letters[:i], l) {
			letters = ""
			break
		}
	}
	if letters == "" {
		return "", false, fmt.Errorf("%w: binding %.20q in LwM2M %s", ErrParameter, text, v)
	}
	return letters, queue, nil
}
