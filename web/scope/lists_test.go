package scope_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/web"
	"steward/web/scope"
	"steward/web/webtest"
)

// A fleet has devices in groups.
type fleet struct {
	*webtest.Fake

	all   []web.Device                // in order of endpoints
	in    map[string]func(i int) bool // which of them are in a group
	asked web.AuditFilter
}

func newFleet(n int) *fleet {
	f := &fleet{Fake: &webtest.Fake{Text: "x"}, in: map[string]func(int) bool{
		"even": func(i int) bool { return i%2 == 0 }, "third": func(i int) bool { return i%3 == 0 },
		"empty": func(int) bool { return false },
	}}
	for i := range n {
		d := web.Device{ID: fmt.Sprintf("id%03d", (i*7)%n), Endpoint: fmt.Sprintf("ep%03d", i), State: web.DeviceOnline}
		f.all = append(f.all, d)
	}
	return f
}

func (f *fleet) services() web.Services {
	s := f.Services()
	s.Devices, s.Groups, s.Activity, s.Certificates, s.Campaigns = f, f, f, f, f
	return s
}

// ListDevices implements web.Devices with one group at a time.
func (f *fleet) ListDevices(_ context.Context, q web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	all := slices.Clone(f.all)
	if q.Sort == web.SortNewest {
		slices.SortFunc(all, func(a, b web.Device) int { return strings.Compare(b.ID, a.ID) })
	}
	var out web.List[web.Device]
	past := p.After == ""
	for _, d := range all {
		in := slices.IndexFunc(f.all, func(o web.Device) bool { return o.ID == d.ID })
		switch {
		case !past:
			past = d.ID == p.After
		case q.Group != "" && !f.in[q.Group](in):
		case len(out.Items) == p.Size:
			out.Next = out.Items[p.Size-1].ID
			return out, nil
		default:
			out.Items = append(out.Items, d)
		}
	}
	return out, nil
}

// Contains implements web.Groups.
func (f *fleet) Contains(_ context.Context, name, device string) (bool, error) {
	i := slices.IndexFunc(f.all, func(d web.Device) bool { return d.ID == device })
	if f.in[name] == nil {
		return false, web.NotFound("group", name)
	}
	return i >= 0 && f.in[name](i), nil
}

// ListCertificates implements web.Certificates: one of each device.
func (f *fleet) ListCertificates(
	ctx context.Context, _ web.CertificateFilter, p web.Page,
) (web.List[web.Certificate], error) {
	list, err := f.ListDevices(ctx, web.DeviceFilter{}, p)
	out := web.List[web.Certificate]{Next: list.Next}
	for _, d := range list.Items {
		out.Items = append(out.Items, web.Certificate{ID: d.Endpoint, Device: d.ID})
	}
	return out, err
}

// Campaign implements web.Campaigns: the campaign "i j" has these devices.
func (f *fleet) Campaign(_ context.Context, id string) (web.Campaign, error) {
	return web.Campaign{ID: id, Total: len(strings.Fields(id))}, nil
}

// Jobs implements web.Campaigns, one a page.
func (f *fleet) Jobs(_ context.Context, id string, _ web.JobFilter, p web.Page) (web.List[web.Job], error) {
	rest := strings.Fields(cmp(p.After, id))
	out := web.List[web.Job]{Items: []web.Job{{Device: rest[0]}}, Next: strings.Join(rest[1:], " ")}
	return out, nil
}

func cmp(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// ListAudit implements web.Activity.
func (f *fleet) ListAudit(_ context.Context, q web.AuditFilter, _ web.Page) (web.List[web.AuditRow], error) {
	f.asked = q
	return web.List[web.AuditRow]{Items: []web.AuditRow{{}}}, nil
}

// TestPagesOfSeveralGroups pages through overlapping groups, with every size of page,
// and compares with what one list would have.
func TestPagesOfSeveralGroups(t *testing.T) {
	f := newFleet(50)
	s := scope.Services(f.services())
	for _, order := range []web.DeviceSort{web.SortEndpoint, web.SortNewest} {
		var want []string
		for i, d := range f.all {
			if i%2 == 0 || i%3 == 0 {
				want = append(want, d.ID)
			}
		}
		if order == web.SortNewest {
			slices.Sort(want)
			slices.Reverse(want)
		}
		for size := 1; size <= 60; size++ {
			var got []string
			p := web.Page{Size: size}
			for {
				list, err := s.Devices.ListDevices(as(t, "empty,even,third"), web.DeviceFilter{Sort: order}, p)
				if err != nil || len(list.Items) > size {
					t.Fatalf("pages of %d: %d devices, %v", size, len(list.Items), err)
				}
				for _, d := range list.Items {
					got = append(got, d.ID)
				}
				if p.After = list.Next; p.After == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("pages of %d in order %q: %v\nwant %v", size, order, got, want)
			}
		}
	}
	if _, err := s.Devices.ListDevices(as(t, "even"), web.DeviceFilter{Group: "third"}, web.Page{Size: 9}); err == nil {
		t.Error("a filter by somebody else's group is no error")
	}
	list, err := s.Devices.ListDevices(as(t, "even,third"), web.DeviceFilter{Group: "third"}, web.Page{Size: 200})
	if err != nil || len(list.Items) != 17 {
		t.Errorf("a filter by one's own group: %d devices, %v; want 17", len(list.Items), err)
	}
	o, err := s.Overview.Overview(as(t, "third"), webtest.Noon)
	if err != nil || o.Devices != 17 || o.Online != 17 || o.Certificates != 0 {
		t.Errorf("Overview = %+v, %v", o, err)
	}
}

func TestCertificatesOfGroups(t *testing.T) {
	f := newFleet(50)
	s := scope.Services(f.services())
	seen, p := 0, web.Page{Size: 1}
	for {
		list, err := s.Certificates.ListCertificates(as(t, "third"), web.CertificateFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(list.Items)
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if seen != 17 {
		t.Errorf("certificates = %d, want 17", seen)
	}
}

// TestCampaignsOfGroups shows those of whose devices all are one's own.
func TestCampaignsOfGroups(t *testing.T) {
	f := newFleet(50)
	s := scope.Services(f.services())
	own, other := f.all[0].ID+" "+f.all[2].ID, f.all[0].ID+" "+f.all[1].ID
	if _, err := s.Campaigns.Campaign(as(t, "even"), own); err != nil {
		t.Errorf("a campaign of own devices = %v", err)
	}
	if _, err := s.Campaigns.Campaign(as(t, "even"), other); err == nil {
		t.Error("a campaign with a device of others is shown")
	}
	huge := strings.Repeat(f.all[0].ID+" ", 1001)
	if _, err := s.Campaigns.Campaign(as(t, "even"), huge); err == nil {
		t.Error("a campaign too large to look at is shown")
	}
	_, err := s.Campaigns.CreateCampaign(as(t, "even"), web.Actor{}, web.NewCampaign{
		Devices: []string{f.all[0].ID}, Match: &web.DeviceMatch{Tag: "x"},
	})
	if err == nil || len(f.Calls()) != 0 {
		t.Errorf("a campaign for what matches = %v", err)
	}
}

func TestAudit(t *testing.T) {
	f := newFleet(9)
	s := scope.Services(f.services())
	for _, row := range []struct{ in, want web.AuditFilter }{
		{web.AuditFilter{}, web.AuditFilter{Actor: "operator:ann"}},
		{web.AuditFilter{Subject: f.all[0].ID}, web.AuditFilter{Subject: f.all[0].ID}},
		{web.AuditFilter{Subject: f.all[1].ID}, web.AuditFilter{Subject: f.all[1].ID, Actor: "operator:ann"}},
		{web.AuditFilter{Actor: "operator:bob"}, web.AuditFilter{}},
	} {
		f.asked = web.AuditFilter{}
		if _, err := s.Activity.ListAudit(as(t, "even"), row.in, web.Page{}); err != nil || f.asked != row.want {
			t.Errorf("ListAudit(%+v) asked %+v, %v; want %+v", row.in, f.asked, err, row.want)
		}
	}
}

// TestEvents watches a stream as somebody of a group, from the beginning and from
// what was missed.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(9)
		stream := &web.Stream{Sees: scope.Sees(f.services())}
		own := web.ActorFrom(as(t, "even")).String()
		publish := func() {
			for _, e := range []web.Event{
				{Type: web.EventValue, Subject: f.all[0].ID},
				{Type: web.EventValue, Subject: f.all[1].ID},
				{Type: web.EventAudit, Subject: f.all[0].ID, Data: []byte(`{"action":"device.put","actor":"eve"}`)},
				{Type: web.EventAudit, Subject: f.all[1].ID, Data: []byte(`{"action":"device.put","actor":"eve"}`)},
				{Type: web.EventAudit, Subject: "t", Data: []byte(`{"action":"own","actor":"` + own + `"}`)},
				{Type: web.EventAudit, Data: []byte(`{"action":"foreign","actor":"eve"}`)},
				{Type: web.EventAudit, Data: []byte(`{"after":7,"before":9}`)},
				{Type: web.EventCampaign, Subject: "c"},
			} {
				stream.Publish(e)
			}
		}
		publish()
		r := httptest.NewRequest(http.MethodGet, "/events", nil).WithContext(as(t, "even"))
		r.Header.Set("Last-Event-ID", "1")
		w := httptest.NewRecorder()
		go func() {
			_ = stream.Serve(w, r, time.Minute, func(web.Event) bool { return true })
		}()
		synctest.Wait()
		publish()
		synctest.Wait()
		stream.Close()
		synctest.Wait()
		body := w.Body.String()
		foreign := strings.Contains(body, f.all[1].ID) || strings.Contains(body, `"c"`) || strings.Contains(body, "foreign")
		// Of the first time, all but the first: it was seen.
		if n := strings.Count(body, f.all[0].ID); n != 3 || foreign || strings.Count(body, `"own"`) != 2 ||
			strings.Count(body, `"before":9`) != 2 {
			t.Errorf("events:\n%s", body)
		}
	})
}
