package e2e_test

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"
)

// demoLimit is what the demonstration of twenty devices may take: half a minute on two cores, and
// several times that where they have other work.
const demoLimit = 5 * time.Minute

// TestDemo runs the demonstration as the first minute of README does, without
// and with a fault. It is not parallel: the demonstration has fixed addresses.
func TestDemo(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		args []string
		want map[string]float64
	}{
		{
			name: "all move", want: map[string]float64{
				"devices": 20, "enrolled": 20, "registered": 20, "updated": 20, "transferred": 20, "active_at_sp2": 20,
				"refused_at_sp1": 20, "fell_back": 0, "approvals": 2, "per_device_actions": 0,
			},
		},
		{
			name: "CA2 is down", args: []string{"--fault", "ca2-down"}, want: map[string]float64{
				"devices": 20, "enrolled": 20, "registered": 20, "updated": 20, "transferred": 0, "active_at_sp2": 0,
				"fell_back": 20, "approvals": 2, "per_device_actions": 0,
			},
		},
		{
			name: "all attest", args: []string{"--attest"}, want: map[string]float64{
				"transferred": 20, "active_at_sp2": 20, "refused_at_sp1": 20, "fell_back": 0, "attested": 20,
				"approvals": 2, "per_device_actions": 0,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			report := demonstrate(t, append([]string{"--devices", "20"}, c.args...), c.want)
			t.Logf("the demonstration took %v", time.Since(began).Round(time.Second))
			measured(t, report, c.want["transferred"] > 0)
		})
	}
}

// TestDemoVariants runs the demonstration with each hierarchy of CAs, and each fault.
func TestDemoVariants(t *testing.T) {
	slow(t)
	const devices = 4
	all := func(more map[string]float64) map[string]float64 {
		want := map[string]float64{
			"devices": devices, "updated": devices, "approvals": 2, "per_device_actions": 0,
			"transferred": 0, "active_at_sp2": 0, "refused_at_sp1": 0, "fell_back": 0,
		}
		maps.Copy(want, more)
		return want
	}
	moved := all(map[string]float64{
		"transferred": devices, "active_at_sp2": devices, "refused_at_sp1": devices, "second_manifest_accepted": devices,
	})
	stayed := all(map[string]float64{"stayed_at_sp1": devices})
	for _, c := range []struct {
		flag, value string
		want        map[string]float64
	}{
		{"hierarchy", "b", moved},
		{"hierarchy", "c", moved},
		{"hierarchy", "d", moved},
		{"encoding", "c509", moved},
		{"fault", "deadline", stayed},
		{"fault", "sp2-withdraws", stayed},
		{"fault", "crash-sp1", moved},
		{"fault", "crash-sp2", moved},
		{"fault", "device-power-cut", moved},
		{"fault", "loss=30%", moved},
	} {
		t.Run(c.flag+" "+c.value, func(t *testing.T) {
			report := demonstrate(t, []string{"--devices", strconv.Itoa(devices), "--" + c.flag, c.value}, c.want)
			if report[c.flag] != c.value {
				t.Errorf("%s = %v, want %v", c.flag, report[c.flag], c.value)
			}
		})
	}
}

// TestDemoRekey: devices make factory keys of their own at Alpha, are handed over by
// them, and make others at Beta without anybody's order. The keys from the factory
// open neither provider.
func TestDemoRekey(t *testing.T) {
	slow(t)
	demonstrate(t, []string{"--devices", "4", "--rekey"}, map[string]float64{
		"transferred": 4, "active_at_sp2": 4, "refused_at_sp1": 4, "rekeyed": 4, "fell_back": 0, "approvals": 2,
		"per_device_actions": 0,
	})
}

// TestDemoUpdateFirst has devices attest, and then take an image of the new provider's
// before they enrol there.
func TestDemoUpdateFirst(t *testing.T) {
	slow(t)
	demonstrate(t, []string{"--devices", "8", "--attest", "--update-first"}, map[string]float64{
		"transferred": 8, "active_at_sp2": 8, "refused_at_sp1": 8, "fell_back": 0, "attested": 8, "updated_first": 8,
		"second_manifest_accepted": 8, "approvals": 2, "per_device_actions": 0,
	})
}

// TestT14AlteredFirmware is T14 with the real binary: devices that run altered images
// are spoken against by the verifier of the new provider, enrol nowhere there, and
// are their former provider's again. TestT14 in transfer/coordinator is the other
// half, an emulator with a copy of the factory key.
func TestT14AlteredFirmware(t *testing.T) {
	slow(t)
	demonstrate(t, []string{"--devices", "8", "--fault", "ra-reject"}, map[string]float64{
		"transferred": 0, "active_at_sp2": 0, "fell_back": 8, "attested": 0, "contraindicated": 8, "approvals": 2,
	})
}

// demonstrate runs the demonstration to its end and returns its report.
func demonstrate(t *testing.T, args []string, want map[string]float64) map[string]any {
	t.Helper()
	log := &tail{}
	showOnFailure(t, "demo", log)
	p := start(t, "demo", log, append([]string{"demo", "--exit", "--json"}, args...)...)
	select {
	case <-p.ended:
	case <-time.After(demoLimit):
		t.Fatal("the demonstration does not end")
	}
	if p.err != nil {
		t.Errorf("demo: %v, want exit status 0", p.err)
	}
	report := map[string]any{}
	d := json.NewDecoder(strings.NewReader(p.out.String()))
	if err := d.Decode(&report); err != nil || d.More() {
		t.Fatalf("stdout is not one JSON object: %v\n%s", err, p.out)
	}
	for key, want := range want {
		if got := report[key]; got != want {
			t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
	return report
}

// measured checks that the report has its measurements, and that they are within
// 1.3 times the reference sizes (transfer protocol §2).
func measured(t *testing.T, report map[string]any, moved bool) {
	t.Helper()
	if s, ok := report["seconds"].(float64); !ok || s <= 0 {
		t.Errorf("seconds = %v", report["seconds"])
	}
	message, ok := report["transfer_message_bytes"].(float64)
	if !ok || message <= 0 || message > 512 {
		t.Errorf("transfer_message_bytes = %v, want up to 512", report["transfer_message_bytes"])
	}
	if s, ok := report["server"].(map[string]any); !ok || s["alpha_ms"] == 0.0 || s["beta_ms"] == 0.0 ||
		moved && s["handshakes"].(float64) < 2 {
		t.Errorf("server = %v", report["server"])
	}
	bytes, ok := report["device_bytes"].(map[string]any)
	if !ok {
		t.Fatalf("device_bytes = %v", report["device_bytes"])
	}
	for phase, limit := range map[string]float64{
		"handshake": 1.3 * 2144, "enrolment": 1.3 * 663, "transfer": 1.3 * (message + 83),
	} {
		n, ok := bytes[phase].(float64)
		if !ok || n > limit || n <= 0 && (moved || phase == "transfer") {
			t.Errorf("device_bytes.%s = %v, want up to %.0f", phase, bytes[phase], limit)
		}
	}
}
