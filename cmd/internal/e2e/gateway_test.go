package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// TestGateway looks after two devices behind a gateway: the server learns of them by
// itself, asks them by their prefixes, and keeps what they report.
func TestGateway(t *testing.T) {
	slow(t)
	t.Parallel()
	const name = "gateway"
	p, uri := servePlain(t)
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": true})
	log := &tail{}
	start(t, name, log, "device", "--nosec", uri, "--endpoint", name, "--behind", "d01,d02",
		"--every", "1s", "--send", "2s", "--format", "senml-json")
	p.state(t, name, "online")
	eventually(t, onlineLimit, "the devices behind it are known", func() error {
		var d struct {
			Behind []struct {
				DeviceID string `json:"device_id"`
				Prefix   string
				Objects  []string
			}
		}
		if err := p.do(t.Context(), http.MethodGet, "/api/v1/devices/ep:"+name, nil, &d); err != nil {
			return err
		}
		if len(d.Behind) != 2 || d.Behind[1].Prefix != "d02" || d.Behind[1].DeviceID != name+"-d02" ||
			fmt.Sprint(d.Behind[0].Objects) != "[/d01/3/0 /d01/3303/0]" {
			return fmt.Errorf("%+v", d.Behind)
		}
		return nil
	})
	p.reads(t, name, "/d01/3/0/0", `"Steward"`)
	p.must(t, name, map[string]any{"op": "write", "path": "/d02/3/0/15", "value": "Asia/Tokyo"})
	p.reads(t, name, "/d02/3/0/15", `"Asia/Tokyo"`)
	p.reads(t, name, "/d01/3/0/15", `"UTC"`)
	both := []string{"/d01/3/0/0", "/d01/3303/0/5700"}
	if got := p.must(t, name, map[string]any{"op": "read_composite", "paths": both}); len(got.values) != len(both) {
		t.Errorf("read together %v", got.values)
	}
	p.must(t, name, map[string]any{"op": "write_composite", "values": []map[string]any{
		{"path": "/d01/3/0/14", "value": "+09:00"}, {"path": "/d01/3/0/15", "value": "Asia/Seoul"},
	}})
	p.reads(t, name, "/d01/3/0/15", `"Asia/Seoul"`)
	p.must(t, name, map[string]any{"op": "observe", "path": "/d02/3303/0/5700"})
	for path, source := range map[string]string{"/d01/3303/0/5700": "send", "/d02/3303/0/5700": "notify"} {
		eventually(t, onlineLimit, path+" by "+source, func() error {
			var out struct{ Items []struct{ Source string } }
			at := "/api/v1/devices/ep:" + name + "/series" + path
			if err := p.do(t.Context(), http.MethodGet, at, nil, &out); err != nil {
				return err
			}
			for _, i := range out.Items {
				if i.Source == source {
					return nil
				}
			}
			return errors.New("none yet")
		})
	}
	refused(t, p, name, map[string]any{"op": "read", "path": "/d03/3/0/0"}, "4.04")
}
