package ui

import (
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"

	"steward/web"
	"steward/web/onboard"
)

// A label is what stands on a device: a code for machines, and the same for people.
type label struct {
	Title string
	Code  qrCode
	Lines []string
	Text  string // what the code says
}

// newLabel makes the label of a device that is to come.
func newLabel(e onboard.Entry, secrets bool) (label, error) {
	l := label{Title: e.Endpoint, Text: e.Label(secrets)}
	if e.Identity != "" && e.Identity != e.Endpoint {
		l.Lines = append(l.Lines, "identity "+e.Identity)
	}
	if secrets && len(e.Key) > 0 {
		l.Lines = append(l.Lines, "key "+grouped(hex.EncodeToString(e.Key)))
	}
	var err error
	l.Code, err = newQR(l.Text)
	return l, err
}

// grouped writes digits in groups, as people read them.
func grouped(digits string) string {
	const size = 4
	var parts []string
	for len(digits) > size {
		parts, digits = append(parts, digits[:size]), digits[size:]
	}
	return strings.Join(append(parts, digits), " ")
}

// pemText is a certificate as people know it, "" for none.
func pemText(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	if block, _ := pem.Decode(der); block != nil {
		return string(der)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A labelsPage is a sheet to print.
type labelsPage struct {
	Labels  []label
	Secrets bool   // there are keys on it
	More    bool   // not all devices are on it
	Query   string // that chose the devices
}

// maxLabels is how many labels one sheet has: a browser still prints it.
const maxLabels = 200

// labels shows the sheet of devices that are known: without keys, for nobody reads
// those again.
func (u *UI) labels(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page := labelsPage{Query: q.Get("filter")}
	devices, more, err := u.labelled(r, q)
	if err != nil {
		return err
	}
	page.More = more
	for _, d := range devices {
		known := onboard.Known(d.Endpoint, d.Factory)
		code, err := newQR(known)
		if err != nil {
			return err
		}
		l := label{Title: d.Endpoint, Code: code, Text: known}
		if d.Model != "" {
			l.Lines = append(l.Lines, d.Manufacturer+" "+d.Model)
		}
		if d.Factory != "" {
			const enough = 16 // digits that tell certificates apart
			l.Lines = append(l.Lines, "factory "+grouped(d.Factory[:min(enough, len(d.Factory))]))
		}
		page.Labels = append(page.Labels, l)
	}
	return u.show(w, r, http.StatusOK, "labels", "onboard", "Labels", page)
}

// labelled returns the devices that q names, or that its filter selects.
func (u *UI) labelled(r *http.Request, q url.Values) (out []web.Device, more bool, err error) {
	if q.Get("scope") != "all" {
		for _, id := range q["device"] {
			if len(out) == maxLabels {
				return out, true, nil
			}
			d, err := u.s.Devices.Device(r.Context(), id)
			if err != nil {
				return nil, false, err
			}
			out = append(out, d.Device)
		}
		return out, false, nil
	}
	f, err := web.ParseStoredFilter(q.Get("filter"))
	if err != nil {
		return nil, false, err
	}
	list, err := u.s.Devices.ListDevices(r.Context(), f, web.Page{Size: maxLabels})
	return list.Items, list.Next != "", err
}
