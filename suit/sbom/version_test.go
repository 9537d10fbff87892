package sbom_test

import (
	"testing"

	"steward/suit/sbom"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"1.2.3", "1.2.3", 0},
		{"1.10", "1.9", 1},
		{"1.0", "1", 0},
		{"1.0.1", "1.0", 1},
		{"v1.2.0", "1.2.0", 0},
		{"1.2.0+incompatible", "1.2.0", 0},
		{"1.0.0-rc.1", "1.0.0", -1},
		{"1.0.0-alpha", "1.0.0-beta", -1},
		{"1.0.0-rc.2", "1.0.0-rc.10", -1},
		{"1.0rc1", "1.0", -1},
		{"2.0~beta", "2.0", -1},
		{"1.1.1k", "1.1.1n", -1},
		{"1.1.1n", "1.1.1", 1},
		{"1.1.1n-0+deb11u1", "1.1.1n-0+deb11u5", -1},
		{"1.0-1", "1.0-2", -1},
		{"1.0-2", "1.0", 1},
		{"1.36.1-r2", "1.36.1-r15", -1},
		{"1.36.1-r2", "1.36.1", 1},
		{"1:1.0", "2.0", 1},
		{"0:1.0", "1.0", 0},
		{"007", "7", 0},
		{"18446744073709551616", "18446744073709551615", 1},
		{"", "0", 0},
		{"", "1", -1},
	} {
		if got := sbom.Compare(tt.a, tt.b); got != tt.want {
			t.Errorf("compare(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := sbom.Compare(tt.b, tt.a); got != -tt.want {
			t.Errorf("compare(%q, %q) = %d, want %d", tt.b, tt.a, got, -tt.want)
		}
	}
}
