package ui_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// longReport is of more devices than stand on a page.
type longReport struct{ web.TransferRecords }

func (longReport) TransferReport(context.Context, string) (web.TransferReport, error) {
	out := web.TransferReport{Transfer: webtest.ID, Total: 5}
	for i := range out.Total {
		out.Devices = append(out.Devices, web.TransferReportDevice{
			Device: fmt.Sprint("d", i), Endpoint: fmt.Sprint("=lamp-", i),
		})
	}
	return out, nil
}

// TestTransferReportPages turns the pages of a report, and has all of it on one.
func TestTransferReportPages(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	services := fake.Services()
	services.Records = longReport{}
	s := newSiteOf(t, fake, services)
	c := s.session(t, web.RoleViewer)
	const page = "/transfers/" + webtest.ID + "/report"
	for query, want := range map[string]struct {
		devices, next string
	}{
		"?page_size=2":              {"0 1", "page_size=2&amp;page_token=2"},
		"?page_size=2&page_token=2": {"2 3", "page_size=2&amp;page_token=4"},
		"?page_size=2&page_token=4": {"4", ""},
		"?page_size=2&page_token=5": {"", ""},
		"?page_size=5":              {"0 1 2 3 4", ""},
		"?page_size=2&all=true":     {"0 1 2 3 4", ""},
	} {
		text := s.do(t, http.MethodGet, page+query, c, nil).Body.String()
		var shown []string
		for i := range 5 {
			if strings.Contains(text, fmt.Sprintf("/devices/d%d\"", i)) {
				shown = append(shown, fmt.Sprint(i))
			}
		}
		if got := strings.Join(shown, " "); got != want.devices {
			t.Errorf("%s shows %q, want %q", query, got, want.devices)
		}
		if strings.Contains(text, `rel="next"`) != (want.next != "") || !strings.Contains(text, want.next) {
			t.Errorf("%s: want next %q", query, want.next)
		}
		if part := len(shown) < 5; strings.Contains(text, "?all=true") != part {
			t.Errorf("%s: a part %t, but not told so", query, part)
		}
	}
	for _, query := range []string{"?page_token=d1", "?page_token=-1", "?page_token=6", "?page_size=0"} {
		if r := s.do(t, http.MethodGet, page+query, c, nil); r.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s = %d", query, r.Code)
		}
	}
	text := s.do(t, http.MethodGet, page+".csv", c, nil).Body.String()
	if strings.Count(text, "\n") != 6 || !strings.Contains(text, ",'=lamp-4,") {
		t.Errorf("CSV:\n%s", text)
	}
}
