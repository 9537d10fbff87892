package ui

import (
	"net/http"
	"strings"

	"steward/web"
)

// A requestsPage lists requests for certificates that need approval.
type requestsPage struct {
	State  string
	States []string
	List   []web.CertificateRequest
	Next   string // address of the next part; "" for the last
}

func (u *UI) requests(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	page := requestsPage{State: r.URL.Query().Get("state"), States: []string{"waiting", "approved", "refused", "used"}}
	if page.State == "" {
		page.State = page.States[0]
	}
	all, err := u.s.Requests.ListCertificateRequests(r.Context(), page.State, p)
	if err != nil {
		return err
	}
	page.List, page.Next = all.Items, web.NextURL(r.URL, all.Next)
	return u.show(w, r, http.StatusOK, "requests", "certificates", "Requests for certificates", page)
}

// decideRequest approves or refuses a request.
func (u *UI) decideRequest(w http.ResponseWriter, r *http.Request) error {
	d := web.RequestDecision{
		Action: web.RequestAction(r.PostFormValue("action")), Request: r.PostFormValue("request"),
		Reason: strings.TrimSpace(r.PostFormValue("reason")),
	}
	_, err := u.s.Requests.DecideCertificateRequest(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), d)
	said := "Approved: the device gets its certificate when it asks again."
	if d.Action == web.RequestRefuse {
		said = "Refused."
	}
	return u.done(w, r, err, "/requests", said, "/requests")
}
