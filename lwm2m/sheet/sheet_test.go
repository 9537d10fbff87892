package sheet_test

import (
	"testing"

	"steward/lwm2m/sheet"
)

func TestHarmless(t *testing.T) {
	for _, text := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "|calc", "%0", " =1", "\u00a0=1", "\u3000 +1",
		"＝1", "＋1", "－1", "＠1",
	} {
		if got := sheet.Harmless(text); got != "'"+text {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{"", " ", "lamp-7", "'=1", "1=1", "20.5", "é", "☃", "\u3000"} {
		if got := sheet.Harmless(text); got != text {
			t.Errorf("%q: %q", text, got)
		}
	}
}
