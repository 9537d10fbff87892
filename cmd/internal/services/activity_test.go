package services_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/server"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
	"steward/web"
)

func TestListAudit(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for i := range 300 {
		r := audit.Row{Actor: fmt.Sprintf("operator:%d", i%3), Action: "right.grant", Subject: fmt.Sprint(i % 5)}
		if i%10 == 0 {
			r.Action = "certificate.issue"
		}
		if err := w.db.Audit(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		f    web.AuditFilter
		want int
	}{
		{"actor", web.AuditFilter{Actor: "operator:1"}, 100},
		{"subject", web.AuditFilter{Subject: "2"}, 60},
		{"action", web.AuditFilter{Action: "certificate.i"}, 30},
		{"subject and actor", web.AuditFilter{Subject: "2", Actor: "operator:0"}, 20},
		{"all three", web.AuditFilter{Subject: "0", Actor: "operator:0", Action: "certificate."}, 10},
		{"wildcards are text", web.AuditFilter{Action: "%"}, 0},
	} {
		n, last := 0, int64(1<<62)
		p := web.Page{Size: 7}
		for {
			list, err := w.Activity.ListAudit(ctx, c.f, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list.Items {
				if r.ID >= last {
					t.Fatalf("%s: row %d after %d", c.name, r.ID, last)
				}
				if b, err := hex.DecodeString(r.Hash); err != nil || len(b) != 32 {
					t.Fatalf("hash %q", r.Hash)
				}
				n, last = n+1, r.ID
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if n != c.want {
			t.Errorf("%s: %d rows, want %d", c.name, n, c.want)
		}
	}
}

func TestHub(t *testing.T) {
	stream := &web.Stream{}
	hub := services.NewHub(stream)
	hub.Device(server.Event{Kind: server.Registered, Device: "nobody watches"})
	watch := func(last string) string {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/events", nil)
		r.Header.Set("Last-Event-ID", last)
		rec := httptest.NewRecorder()
		if err := stream.Serve(rec, r, time.Minute, func(web.Event) bool { return true }); err != nil {
			t.Fatal(err)
		}
		return rec.Body.String()
	}
	watch("")
	// A watcher that comes back gets what it missed, so all of this is kept for it.
	stream.Publish(web.Event{Type: "first"})
	hub.Device(server.Event{Kind: server.Registered, Device: "d"})
	hub.Device(server.Event{
		Kind: server.Notified, Device: "d", Path: lwm2m.NewPath(3, 0), At: time.Unix(1, 0).UTC(),
		Entries: []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(7)}},
	})
	hub.Device(server.Event{Kind: server.Sent, Device: "many", Entries: make([]lwm2m.Entry, 1000)})
	hub.Job(rollout.Job{Campaign: "c", Device: "d", State: rollout.Done})
	hub.Campaign("c")
	hub.Transfer(coordinator.Event{Transfer: "t", Device: "d", State: "READY"})
	for range 1000 {
		hub.Device(server.Event{Kind: server.Updated, Device: "busy", At: time.Unix(2, 0)})
	}
	envelope := regexp.MustCompile(
		`"specversion":"1.0","id":"\d+","source":"",|"time":"[^"]*","datacontenttype":"application/json",`)
	body := envelope.ReplaceAllString(watch("1"), "")
	for _, want := range []string{
		`{"type":"device.state","subject":"d","data":{"kind":"registered"}}`,
		`{"type":"device.value","subject":"d",` +
			`"data":{"path":"/3/0/9","text":"7","kind":"integer","at":"1970-01-01T00:00:01Z"}}`,
		`{"type":"device.state","subject":"many","data":{"kind":"sent"}}`,
		`{"type":"campaign","subject":"c","data":{"device":"d","state":"done"}}`,
		`{"type":"campaign","subject":"c","data":{}}`,
		`{"type":"transfer","subject":"t","data":{"device":"d","state":"READY"}}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no event %s", want)
		}
	}
	if n := strings.Count(body, `"subject":"many"`); n != 129 {
		t.Errorf("%d events of a message with 1000 values", n)
	}
	if n := strings.Count(body, `"subject":"busy"`); n != 50 {
		t.Errorf("%d events of 1000 updates within a second, want 50", n)
	}
	if strings.Contains(body, "nobody") {
		t.Error("an event from before anybody watched")
	}
}
