package ui_test

import (
	"context"
	"html"
	"net/http"
	"strings"
	"testing"

	"steward/transfer"
	"steward/web"
	"steward/web/webtest"
)

// oneRow is a transfer of one device.
type oneRow struct {
	web.Transfers
	web.TransferRecords

	row web.TransferRow
}

func (o *oneRow) Rows(context.Context, string, web.Page) (web.List[web.TransferRow], error) {
	return web.List[web.TransferRow]{Items: []web.TransferRow{o.row}}, nil
}

func (o *oneRow) TransferReport(context.Context, string) (web.TransferReport, error) {
	return web.TransferReport{Transfer: webtest.ID, Total: 1, Devices: []web.TransferReportDevice{{
		Device: "d", Endpoint: "d", State: o.row.State, Inferred: o.row.Inferred,
	}}}, nil
}

// TestEveryStateIsTold: in each state that a device can be in, at either provider, the
// page of the transfer says whether that is known or inferred, and what comes next
// without the operator; the report says the former.
func TestEveryStateIsTold(t *testing.T) {
	shown := &oneRow{}
	fake := &webtest.Fake{Text: "x"}
	services := fake.Services()
	shown.Transfers, shown.TransferRecords = services.Transfers, services.Records
	services.Transfers, services.Records = shown, shown
	s := newSiteOf(t, fake, services)
	c := s.session(t, web.RoleViewer)
	states := 0
	for incoming, table := range map[bool]transfer.RowTable{
		false: transfer.OutgoingTable(), true: transfer.IncomingTable(),
	} {
		seen := map[transfer.RowState]bool{}
		for _, r := range table {
			for _, state := range []transfer.RowState{r.From, r.To} {
				if seen[state] {
					continue
				}
				seen[state] = true
				states++
				for _, inferred := range []bool{false, true} {
					shown.row = web.TransferRow{
						Device: "d", Endpoint: "d", State: string(state), Level: web.LevelActive, Inferred: inferred,
						Next: state.Next(incoming),
					}
					told(t, s.do(t, http.MethodGet, "/transfers/"+webtest.ID, c, nil).Body.String(), &shown.row, true)
					told(t, s.do(t, http.MethodGet, "/transfers/"+webtest.ID+"/report", c, nil).Body.String(), &shown.row, false)
				}
			}
		}
	}
	const least = 30 // of the two tables together
	if states < least {
		t.Errorf("%d states were looked at", states)
	}
}

// told looks at what a page says of a row.
func told(t *testing.T, page string, row *web.TransferRow, next bool) {
	t.Helper()
	_, cell, ok := strings.Cut(page, `data-label="Known by">`)
	cell, _, end := strings.Cut(cell, "</td>")
	if !ok || !end {
		t.Fatalf("%s: the page has no column Known by", row.State)
	}
	known, inferred := strings.HasPrefix(cell, "known"), strings.HasPrefix(cell, "inferred")
	if inferred != row.Inferred || known == row.Inferred {
		t.Errorf("%s, inferred %t: known by %q", row.State, row.Inferred, cell)
	}
	_, after, _ := strings.Cut(page, "<summary>Next</summary>")
	if text := html.UnescapeString(after); next && (row.Next == "" || !strings.Contains(text, row.Next)) {
		t.Errorf("%s: the page does not say %q", row.State, row.Next)
	}
}
