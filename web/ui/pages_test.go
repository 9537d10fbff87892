package ui_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"steward/web"
	"steward/web/ui"
	"steward/web/webtest"
)

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		state            string
		reached, current int // numbers of steps
	}{
		{"DRAFT", 0, 1},
		{"STAGING", 5, 1},
		{"COMPLETE", 9, 0},
		{"CANCELLED", 0, 0},
	} {
		reached, current := 0, 0
		for _, s := range ui.Steps(c.state) {
			if s.Reached {
				reached++
			}
			if s.Current {
				current++
			}
		}
		if reached != c.reached || current != c.current {
			t.Errorf("steps(%s): %d reached, %d current; want %d, %d", c.state, reached, current, c.reached, c.current)
		}
	}
}

func TestFactsOf(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":"x","a":12345678901234567890}`: "[{b x} {a 12345678901234567890}]",
		`{}`:                                 "[]",
		`["a"]`:                              "[]",
		`{"a":`:                              "[]",
		``:                                   "[]",
	} {
		if got := fmt.Sprint(ui.FactsOf(json.RawMessage(in))); got != want {
			t.Errorf("factsOf(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for code, want := range map[int]string{1: "updated", 5: "integrity check failed", -1: "", 999: ""} {
		if got := ui.Outcome(code); got != want {
			t.Errorf("outcome(%d) = %q, want %q", code, got, want)
		}
	}
}

// manyDevices are more than one page.
type manyDevices struct{ web.Devices }

func (manyDevices) ListDevices(_ context.Context, _ web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	list := web.List[web.Device]{Next: "more"}
	for i := range p.Size {
		list.Items = append(list.Items, web.Device{ID: fmt.Sprint("d", i)})
	}
	return list, nil
}

func (manyDevices) Device(_ context.Context, id string) (web.DeviceDetail, error) {
	if id == "nobody" {
		return web.DeviceDetail{}, web.NotFound("device", id)
	}
	return web.DeviceDetail{Device: web.Device{ID: id}}, nil
}

// TestChoices checks that a form offers what was chosen, wherever in the
// inventory that stands, and each device once.
func TestChoices(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	got, err := ui.Choices(manyDevices{}, r, []string{"d999", "d3", "nobody", "d3"})
	if err != nil {
		t.Fatal(err)
	}
	var chosen []string
	seen := map[string]bool{}
	for _, c := range got.List {
		if c.Chosen {
			chosen = append(chosen, c.ID)
		}
		if seen[c.ID] {
			t.Errorf("%s is offered twice", c.ID)
		}
		seen[c.ID] = true
	}
	if !slices.Equal(chosen, []string{"d3", "d999"}) || len(got.List) != web.MaxPageSize+1 || !got.More {
		t.Errorf("choices = %d devices, chosen %v, more %t", len(got.List), chosen, got.More)
	}
}

// TestPace looks at the numbers of the first page and where they lead.
func TestPace(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	body := s.do(t, http.MethodGet, "/", s.session(t, web.RoleViewer), nil).Body.String()
	for _, want := range []string{
		`href="/activity?action=registration.register"><span class="big num">1200</span> <span>registrations a minute`,
		`href="/devices?state=online"><span class="big num">0.4</span> <span>handshakes a second`,
		`href="/activity?action=handshake.refuse"><span class="big num">3</span> <span>handshakes failed in 5 minutes`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the first page lacks %q", want)
		}
	}
}
