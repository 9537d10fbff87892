package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/bench"
	"steward/cmd/internal/cli"
)

// TestMain makes the test binary the program "steward" where the bench starts it
// as a server or as the floor.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// small is a run of a few devices and a fraction of a second.
func small(t *testing.T, w bench.Work) bench.Options {
	t.Helper()
	return bench.Options{
		Work: w, Devices: 8, InFlight: 4, Sockets: 3, Duration: 200 * time.Millisecond, Dir: t.TempDir(),
		Storming: 6, Spoofed: 20,
	}
}

func TestWorks(t *testing.T) {
	message := []string{
		"ops", "ops_per_s", "server_cpu_us_per_op", "floor_us_per_op", "ratio_to_floor", "p50_ms", "p99_ms",
		"loss", "new_handshakes", "devices", "seconds", "work",
	}
	memory := []string{
		"rss_bytes_per_device", "rss_empty_bytes", "rss_full_bytes", "new_handshakes", "devices", "seconds", "work",
	}
	storm := []string{
		"quiet_p99_ms", "server_quiet_p99_ms", "server_p99_ms", "stormed", "storm_seconds", "spoofed", "spoofed_per_s",
		"p99_ms", "loss", "ops",
	}
	for _, tt := range []struct {
		work  bench.Work
		keys  []string
		exact int // operations; 0: as many as there is time for
	}{
		{bench.Requests, message, 0},
		{bench.Handshakes, message, 0},
		{bench.Register, message, 8},
		{bench.Update, message, 8},
		{bench.Observe, message, 0},
		{bench.Idle, memory, 0},
		{bench.Storm, storm, 0},
		{bench.Push, []string{"bytes_per_s", "bytes_per_cpu_s", "ops", "ops_per_s", "server_cpu_us_per_op"}, 8 * 1024},
	} {
		t.Run(string(tt.work), func(t *testing.T) {
			o := small(t, tt.work)
			if tt.work == bench.Idle {
				o.Registered, o.Observations = true, 3
			}
			r, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			check(t, r, tt.keys)
			if tt.exact > 0 && r.Ops != tt.exact {
				t.Errorf("%d operations, want %d", r.Ops, tt.exact)
			}
			if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

// check looks for keys in the JSON of r, and for signs of trouble.
func check(t *testing.T, r *bench.Result, keys []string) {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if _, ok := got[k]; !ok {
			t.Errorf("%s is missing in %s", k, raw)
		}
	}
	if r.Refusals > 0 || r.Note != "" || r.Loss != nil && *r.Loss > 0 {
		t.Errorf("refused or lost: %s", raw)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), string(r.Work)) {
		t.Errorf("table = %q, %v", table.String(), err)
	}
}

func TestProfile(t *testing.T) {
	o := small(t, bench.Requests)
	o.Profile = filepath.Join(t.TempDir(), "cpu.pprof")
	if _, err := bench.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(o.Profile); err != nil || info.Size() == 0 {
		t.Errorf("profile = %v, %v", info, err)
	}
}

// TestRestart: what a restart must not break, it does not, in order or killed.
func TestRestart(t *testing.T) {
	for name, kill := range map[string]bool{"in order": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			o := small(t, bench.Restart)
			o.Devices, o.Kill = 40, kill
			r, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			check(t, r, []string{
				"restart_seconds", "load_seconds", "new_handshakes", "lost_registrations", "unanswered", "reads",
				"reads_failed", "replayed", "replays_refused", "captured_records", "reused_numbers", "registering",
			})
			if t.Failed() {
				return
			}
			for what, n := range map[string]int{
				"new handshakes": *r.NewHandshakes, "lost registrations": *r.LostRegistrations,
				"unanswered": *r.Unanswered, "reads failed": *r.ReadsFailed, "numbers reused": *r.Reused,
				"replays taken": r.Replayed - *r.ReplaysRefused,
			} {
				if n != 0 {
					t.Errorf("%d %s, want none", n, what)
				}
			}
			if r.Reads != 30 || r.Registering != 10 || r.Replayed < 30 || r.Captured < 200 {
				t.Errorf("result = %+v", r)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	psk := func(uri string) *bench.Target { return &bench.Target{URI: uri, PSK: []byte("secret")} }
	for name, o := range map[string]bench.Options{
		"no work":                 {},
		"unknown work":            {Work: "sleep"},
		"too many devices":        {Work: bench.Idle, Devices: 200_001},
		"negative devices":        {Work: bench.Idle, Devices: -1},
		"too many in flight":      {Work: bench.Requests, InFlight: 4097},
		"too long":                {Work: bench.Requests, Duration: time.Hour},
		"negative duration":       {Work: bench.Requests, Duration: -1},
		"too many sockets":        {Work: bench.Requests, Sockets: 257},
		"too many observations":   {Work: bench.Observe, Observations: 4},
		"too many spoofed":        {Work: bench.Storm, Spoofed: 1_000_001},
		"foreign address":         {Work: bench.Requests, Target: psk("coaps://192.0.2.1:5684")},
		"name":                    {Work: bench.Requests, Target: psk("coaps://localhost:5684")},
		"plain":                   {Work: bench.Requests, Target: psk("coap://127.0.0.1:5683")},
		"no credentials":          {Work: bench.Requests, Target: &bench.Target{URI: "coaps://127.0.0.1"}},
		"profile of another":      {Work: bench.Requests, Target: psk("coaps://127.0.0.1"), Profile: "x"},
		"observations of another": {Work: bench.Observe, Target: psk("coaps://127.0.0.1")},
	} {
		if _, err := bench.Run(t.Context(), o); !errors.Is(err, bench.ErrOptions) {
			t.Errorf("%s: Run = %v, want %v", name, err, bench.ErrOptions)
		}
	}
}

func TestCommandLine(t *testing.T) {
	var out, talk bytes.Buffer
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"bench", "requests", "--devices", "-1"}, 2},
		{[]string{"bench", "requests", "--psk", "00"}, 2},
		{[]string{"bench", "requests", "--target", "leshan"}, 2},
		{[]string{"bench", "requests", "--server", "coaps://127.0.0.1:1", "--psk", "00", "--target", "x"}, 2},
		{[]string{"bench", "requests", "--server", "coaps://127.0.0.1:1", "--psk", "x"}, 2},
		{[]string{"bench", "requests", "--server", "coaps://127.0.0.1:1", "--cert", "missing", "--key", "missing"}, 2},
		{[]string{"bench", "idle", "--in-flight", "3"}, 2},
		{[]string{"bench", "restart", "--devices", "0x"}, 2},
		{[]string{"bench"}, 0},
	} {
		talk.Reset()
		if got := cli.Run(t.Context(), tt.args, &out, &talk); got != tt.want {
			t.Errorf("%v = %d, want %d: %s", tt.args, got, tt.want, &talk)
		}
	}
	for _, w := range bench.Works() {
		if !strings.Contains(out.String(), string(w)) {
			t.Errorf("help does not name %s", w)
		}
	}
	if strings.Contains(out.String(), "echo ") {
		t.Error("help names a hidden command")
	}
	out.Reset()
	args := []string{
		"bench", "register", "--json", "--devices", "3", "--in-flight", "2", "--sockets", "1", "--dir", t.TempDir(),
		"--duration", "100ms",
	}
	if got := cli.Run(t.Context(), args, &out, &talk); got != 0 {
		t.Fatalf("%v = %d: %s", args, got, &talk)
	}
	var r bench.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Work != bench.Register || r.Ops != 3 {
		t.Errorf("stdout = %s, %v", &out, err)
	}
}

// TestServe holds the protocol between the processes.
func TestServe(t *testing.T) {
	in := strings.NewReader("usage\nnonsense\nprofile /no/such/folder/x\n")
	var out bytes.Buffer
	if err := bench.Echo(context.WithoutCancel(t.Context()), in, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "coaps://127.0.0.1:") ||
		!strings.Contains(lines[1], "cpu_ns") || !strings.Contains(lines[2], "unknown command") ||
		!strings.Contains(lines[3], "error") {
		t.Errorf("answers = %q", lines)
	}
	if !slices.Contains(bench.Works(), bench.Restart) {
		t.Error("restart is not listed")
	}
}
