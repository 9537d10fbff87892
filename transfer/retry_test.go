package transfer_test

import (
	"testing"
	"time"

	"steward/transfer"
)

func TestRetryDelay(t *testing.T) {
	scaled := transfer.Retry{First: 500 * time.Millisecond, Max: 2 * time.Second}
	tests := []struct {
		retry   transfer.Retry
		attempt uint64
		random  float64
		want    time.Duration
	}{
		{transfer.Retry{}, 0, 0.5, 30 * time.Second},
		{transfer.Retry{}, 1, 0.5, 30 * time.Second},
		{transfer.Retry{}, 1, 0, 22500 * time.Millisecond},
		{transfer.Retry{}, 2, 0.5, time.Minute},
		{transfer.Retry{}, 7, 0.5, 32 * time.Minute},
		{transfer.Retry{}, 8, 0.5, time.Hour},
		{transfer.Retry{}, 1 << 62, 0.5, time.Hour},
		{scaled, 1, 0.5, 500 * time.Millisecond},
		{scaled, 9, 0, 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		if got := tt.retry.Delay(tt.attempt, tt.random); got != tt.want {
			t.Errorf("%+v.Delay(%d, %v) = %v, want %v", tt.retry, tt.attempt, tt.random, got, tt.want)
		}
	}
	if got := (transfer.Retry{}).FallbackJitter(0.5); got != 15*time.Minute {
		t.Errorf("FallbackJitter = %v", got)
	}
}

// TestPermanentRefusal lists §5.
func TestPermanentRefusal(t *testing.T) {
	for code, want := range map[uint8]bool{
		0x80: true, 0x83: true, 0x86: true, 0x8f: true, // 4.00 4.03 4.06 4.15
		0x81: false, 0x88: false, 0x8d: false, 0x9d: false, 0xa0: false, 0xa3: false, 0x44: false, 0: false,
	} {
		if got := transfer.PermanentRefusal(code); got != want {
			t.Errorf("PermanentRefusal(%d.%02d) = %t, want %t", code>>5, code&31, got, want)
		}
	}
}

func TestHostOf(t *testing.T) {
	tests := []struct {
		uri, want string
	}{
		{"coaps://Beta.Example", "beta.example"},
		{"coaps://beta.example:5684/path?q", "beta.example"},
		{"coaps://beta.example:5685", "beta.example:5685"},
		{"coaps://127.0.0.12:5684", "127.0.0.12"},
		{"coaps://[::1]:5685", "::1:5685"},
		{"coap://beta.example", ""},
		{"COAPS://beta.example", "beta.example"},
		{"coaps:beta.example", ""},
		{"coaps:///x", ""},
		{"coaps://u@h", ""},
		{"coaps://h#f", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, err := transfer.HostOf(tt.uri)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("HostOf(%q) = %q, %v, want %q", tt.uri, got, err, tt.want)
		}
	}
}

func TestWindow(t *testing.T) {
	w := transfer.NewWindow(noon, noon.Add(time.Hour))
	tests := []struct {
		at   time.Duration
		want bool
	}{
		{-3 * time.Minute, false},
		{-2 * time.Minute, true},
		{0, true},
		{time.Hour, true},
		{time.Hour + 119*time.Second, true},
		{time.Hour + 2*time.Minute, false},
	}
	for _, tt := range tests {
		if got := w.Contains(noon.Add(tt.at), transfer.ClockSkew); got != tt.want {
			t.Errorf("Contains(noon%+v) = %t, want %t", tt.at, got, tt.want)
		}
	}
}

func TestPurposes(t *testing.T) {
	if got, want := (transfer.Enrol | transfer.TransferSigner).String(), "enrol transfer-signer"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if transfer.Fallback != 1<<8 || transfer.TransferSigner != 1<<6 {
		t.Error("the bits are not those of the message definition")
	}
}
