package ui

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// A tracePage shows the CoAP messages of a device, the newest first.
type tracePage struct {
	Device web.Device
	Trace  web.DeviceTrace
	Filter string
	More   int // messages that the page leaves out
}

// maxTraceRows is what a page shows; the files have all.
const maxTraceRows = 200

func (u *UI) trace(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return err
	}
	t, err := u.s.Traces.Trace(r.Context(), id)
	if err != nil {
		return err
	}
	page := tracePage{Device: d.Device, Filter: r.URL.Query().Get("q")}
	page.Trace = t.Matching(page.Filter)
	all := page.Trace.Items
	page.Trace.Items = nil
	for i := len(all) - 1; i >= 0 && len(page.Trace.Items) < maxTraceRows; i-- {
		page.Trace.Items = append(page.Trace.Items, all[i])
	}
	page.More = len(all) - len(page.Trace.Items)
	return u.show(w, r, http.StatusOK, "trace", "devices", d.Endpoint+" trace", page)
}

func (u *UI) setTrace(w http.ResponseWriter, r *http.Request) error {
	id, by := web.Param(r, "id"), web.ActorFrom(r.Context())
	back := "/devices/" + id + "/trace"
	if r.PostFormValue("action") == "stop" {
		_, err := u.s.Traces.StopTrace(r.Context(), by, id)
		return u.done(w, r, err, back, "The trace is over. It can be looked at for an hour.", back)
	}
	minutes, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("minutes")))
	if err != nil || minutes < 1 || minutes > 60 {
		return u.done(w, r, web.Invalid("minutes", "a number from 1 to 60"), "", "", back)
	}
	_, err = u.s.Traces.StartTrace(r.Context(), by, id, time.Duration(minutes)*time.Minute)
	return u.done(w, r, err, back, "Messages from and to this device are recorded from now on.", back)
}
