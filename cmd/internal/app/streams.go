package app

import (
	"errors"
	"fmt"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// streams are the listeners of CoAP over TCP and TLS; nil: none.
type streams struct{ tcp, tls *transport.StreamListener }

// listenStreams binds them. Devices are the same as over UDP, and so is what they
// may do; with a connection ends what is under way with its device, until that
// registers again (RFC 8323 §3; LwM2M Transport Binding 1.2.2 §6.5).
func (a *App) listenStreams(c dtls.Credentials) (err error) {
	a.streams.tcp, err = a.listenStream("coap-tcp", a.cfg.CoAPTCP, nil)
	if err != nil {
		return err
	}
	a.streams.tls, err = a.listenStream("coaps-tcp", a.cfg.CoAPSTCP, c)
	return err
}

func (a *App) listenStream(name, addr string, c dtls.Credentials) (*transport.StreamListener, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // no listener is asked for
	}
	l, err := transport.ListenStream(transport.StreamOptions{
		Addr: addr, Credentials: c, Engine: a.engine, Log: a.log, Refused: a.refused,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

func (s streams) all() []*transport.StreamListener {
	var out []*transport.StreamListener
	for _, l := range []*transport.StreamListener{s.tcp, s.tls} {
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

func (s streams) close() error {
	var errs []error
	for _, l := range s.all() {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// drop ends the associations whose identity matches, however they came.
func (a *App) drop(match func(coap.Identity) bool) {
	a.coaps.Drop(match)
	if a.streams.tls != nil {
		a.streams.tls.Drop(match)
	}
}
