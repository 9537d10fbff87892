package app

import (
	"fmt"
	"strings"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
)

// withRequests adds to o how devices may ask for certificates.
func withRequests(a *App, seal est.Sealer, o est.Options) est.Options {
	o.Requests, o.Sealer, o.KeepKeys = a.db.Inventory(), seal, a.cfg.KeepKeys
	o.Profiles.Operational, o.ExpiredFactory = a.cfg.Operational, a.cfg.ExpiredFactory
	return o
}

// labels returns the CA by the profile of each label.
func labels[A any](a *App, as func(*est.CA) A) (map[string]A, error) {
	out := map[string]A{}
	for label, p := range a.cfg.Labels {
		ca, err := a.pki.ca.Using(p)
		if err != nil {
			return nil, err
		}
		out[label] = as(ca)
	}
	return out, nil
}

// newESTCoAPS makes the EST server of devices: the CA by its own profile and by that
// of each label.
func (a *App) newESTCoAPS() (*estcoap.Server, error) {
	byLabel, err := labels(a, func(ca *est.CA) estcoap.Authority { return ca })
	if err != nil {
		return nil, err
	}
	return estcoap.NewServer(estcoap.ServerOptions{
		CA: a.pki.ca, Labels: byLabel, Client: a.estClient, Refused: a.refusedEnrolment, C509: a.cfg.C509, Log: a.log,
	})
}

// refusedEnrolment audits a request that did not come as far as the CA.
func (a *App) refusedEnrolment(r *coap.Request, code coap.Code, why string) {
	who := r.Peer.Identity()
	a.auditor.add(audit.Row{
		Actor: "device:" + who.Name, Action: "enrolment.refuse", Subject: who.Name,
		Reason: fmt.Sprintf("/%.80s: %s: %s", strings.Join(r.Path, "/"), code, why),
	})
}
