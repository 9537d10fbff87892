package ui

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"steward/lwm2m/sheet"
	"steward/web"
)

func (u *UI) reportRoutes() []route {
	const page = "/transfers/{id}/report"
	return []route{
		{method: http.MethodGet, pattern: page, role: web.RoleViewer, handler: u.transferReport},
		{method: http.MethodGet, pattern: page + ".json", role: web.RoleViewer, handler: u.transferReportJSON},
		{method: http.MethodGet, pattern: page + ".csv", role: web.RoleViewer, handler: u.transferReportCSV},
	}
}

// A reportPage is a report with a part of its devices.
type reportPage struct {
	web.TransferReport
	Shown []web.TransferReportDevice
	Next  string // URL of the next part; "": there is none
	Part  bool   // not all devices are shown
}

func (u *UI) transferReport(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	report, err := u.s.Records.TransferReport(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	page := reportPage{TransferReport: report, Shown: report.Devices}
	if r.URL.Query().Get("all") != "true" {
		shown, err := part(report.Devices, p)
		if err != nil {
			return err
		}
		page.Shown, page.Next = shown.Items, web.NextURL(r.URL, shown.Next)
		page.Part = len(page.Shown) < len(report.Devices)
	}
	return u.show(w, r, http.StatusOK, "transfer_report", "transfers", "Report of a transfer", page)
}

// part is the page p of devices, which begins after so many as its token says: their
// order stays, and what they are called may change as they arrive. It returns
// ErrInvalid for a token that is none of ours.
func part(all []web.TransferReportDevice, p web.Page) (web.List[web.TransferReportDevice], error) {
	var list web.List[web.TransferReportDevice]
	from := 0
	if p.After != "" {
		var err error
		if from, err = strconv.Atoi(p.After); err != nil || from < 0 || from > len(all) {
			return list, web.Invalid("page_token", "not one of ours")
		}
	}
	to := min(from+p.Size, len(all))
	if list.Items = all[from:to]; to < len(all) {
		list.Next = strconv.Itoa(to)
	}
	return list, nil
}

func (u *UI) transferReportJSON(w http.ResponseWriter, r *http.Request) error {
	report, err := u.s.Records.TransferReport(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	web.Attach(w.Header(), "transfer-report.json")
	return web.WriteJSON(w, http.StatusOK, report)
}

// transferReportCSV has a line for each device.
func (u *UI) transferReportCSV(w http.ResponseWriter, r *http.Request) error {
	report, err := u.s.Records.TransferReport(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	web.Attach(w.Header(), "transfer-report.csv")
	lines := [][]string{{
		"device", "endpoint", "state", "inferred", "reason", "committed_at", "active_at", "seconds_without_service",
		"message_bytes", "receipts", "revoked_certificates",
	}}
	for _, d := range report.Devices {
		gap := ""
		if d.Disruption != nil {
			gap = strconv.FormatFloat(*d.Disruption, 'f', -1, 64)
		}
		lines = append(lines, []string{
			d.Device, sheet.Harmless(d.Endpoint), d.State, strconv.FormatBool(d.Inferred), sheet.Harmless(d.Reason),
			stamp(d.CommittedAt), stamp(d.ActiveAt), gap, strconv.Itoa(d.Bytes), strconv.Itoa(d.Receipts),
			strconv.Itoa(d.Revoked),
		})
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
