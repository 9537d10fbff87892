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

func (u *UI) transferReport(w http.ResponseWriter, r *http.Request) error {
	report, err := u.s.Records.TransferReport(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "transfer_report", "transfers", "Report of a transfer", report)
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
