package ui

import (
	"net/http"
	"net/url"

	"steward/web"
)

// A queuePage is what was asked of a device: what waits, is under way, or is over.
type queuePage struct {
	web.DeviceDetail

	List []web.DeviceOperation
	Next string // address of the next part; "" for the last
}

// Waiting returns how many operations of the page are not over.
func (p queuePage) Waiting() (n int) {
	for _, o := range p.List {
		if !o.Over {
			n++
		}
	}
	return n
}

func (u *UI) queue(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return err
	}
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	all, err := u.s.Operations.ListOperations(r.Context(), id, p)
	if err != nil {
		return err
	}
	page := queuePage{DeviceDetail: d, List: all.Items, Next: web.NextURL(r.URL, all.Next)}
	return u.show(w, r, http.StatusOK, "queue", "devices", d.Endpoint+" queue", page)
}

// cancelOperation takes an operation back.
func (u *UI) cancelOperation(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/devices/" + url.PathEscape(id) + "/queue"
	o, err := u.s.Operations.CancelOperation(r.Context(), web.ActorFrom(r.Context()), id, web.Param(r, "operation"))
	return u.done(w, r, err, page, "Took back: "+string(o.Kind)+" "+o.Path+".", page)
}
