package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// many is a service with many devices, which fails after a number of parts.
type many struct {
	*webtest.Fake

	devices, parts int
}

// ListDevices implements web.Devices; cursors are indexes.
func (m *many) ListDevices(_ context.Context, _ web.DeviceFilter, p web.Page) (list web.List[web.Device], err error) {
	if m.parts--; m.parts < 0 {
		return list, web.ErrUnavailable
	}
	from, _ := strconv.Atoi(p.After)
	to := min(from+p.Size, m.devices)
	for i := from; i < to; i++ {
		list.Items = append(list.Items, web.Device{ID: strconv.Itoa(i), Endpoint: "=cmd|' /C calc'!A0", Tags: []string{"a"}})
	}
	if to < m.devices {
		list.Next = strconv.Itoa(to)
	}
	return list, nil
}

func exportSite(t *testing.T, m *many) *site {
	t.Helper()
	m.Fake = &webtest.Fake{Text: "x"}
	s := newSite(t, m.Fake)
	services := m.Services()
	services.Devices = m
	s.use(t, services)
	return s
}

// TestExports has a list of three parts whole, as lines of JSON and as CSV.
func TestExports(t *testing.T) {
	const n = 2*web.MaxPageSize + 1
	for _, row := range []struct{ target, accept string }{
		{"?format=ndjson&page_size=1", ""}, {"", "text/html, application/x-ndjson;q=0.9"},
	} {
		s := exportSite(t, &many{devices: n, parts: 3})
		w := s.send(t, http.MethodGet, "/api/v1/devices"+row.target, web.RoleViewer, "", "Accept", row.accept)
		lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
		if w.Code != 200 || len(lines) != n || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("= %d, %d lines, %s", w.Code, len(lines), w.Header())
		}
		var last web.Device
		if err := json.Unmarshal([]byte(lines[n-1]), &last); err != nil || last.ID != strconv.Itoa(n-1) {
			t.Errorf("last line = %s, %v", lines[n-1], err)
		}
	}
	s := exportSite(t, &many{devices: n, parts: 3})
	w := s.send(t, http.MethodGet, "/api/v1/devices?fields=id,endpoint,tags", web.RoleViewer, "", "Accept", "text/csv")
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != n+1 || strings.Join(rows[0], ",") != "id,endpoint,tags" {
		t.Fatalf("CSV = %d rows, %v, %v", len(rows), rows[0], err)
	}
	if got := strings.Join(rows[n], " "); got != "400 '=cmd|' /C calc'!A0 [\"a\"]" {
		t.Errorf("last row = %s", got)
	}
}

// TestHalfAnExportIsNone: what fails in the middle does not end like a list.
func TestHalfAnExportIsNone(t *testing.T) {
	s := exportSite(t, &many{devices: 1000, parts: 1})
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the value that net/http documents
			t.Errorf("the connection was not cut: %v", p)
		}
	}()
	s.send(t, http.MethodGet, "/api/v1/devices?format=csv", web.RoleViewer, "")
}

func TestExportRefusals(t *testing.T) {
	s := exportSite(t, &many{devices: 1, parts: 0})
	for target, want := range map[string]int{
		"devices?format=xml": 422, "devices?fields=none": 422, "devices?fields=id,id": 422, "devices?fields=,": 422,
		"devices?format=csv": 503, "devices?state=&insecure=maybe&format=csv": 422, "audit?format=ndjson": 200,
		"bootstrap-profiles?format=csv": 200,
	} {
		if w := s.send(t, http.MethodGet, "/api/v1/"+target, web.RoleViewer, ""); w.Code != want {
			t.Errorf("%s = %d, want %d: %.200s", target, w.Code, want, w.Body)
		}
	}
	if w := s.send(t, http.MethodGet, "/api/v1/devices?format=csv", web.RoleNone, ""); w.Code != 401 {
		t.Errorf("without a role = %d", w.Code)
	}
}

func TestFields(t *testing.T) {
	s := exportSite(t, &many{devices: 3, parts: 1})
	w := s.send(t, http.MethodGet, "/api/v1/devices?fields=endpoint,id&page_size=2", web.RoleViewer, "")
	want := `{"items":[{"endpoint":"=cmd|' /C calc'!A0","id":"0"},{"endpoint":"=cmd|' /C calc'!A0","id":"1"}],` +
		`"next_page_token":"2"}` + "\n"
	if w.Body.String() != want || !strings.Contains(w.Header().Get("Link"), "fields=endpoint") {
		t.Errorf("= %s%v, want %s", w.Body, w.Header(), want)
	}
}
