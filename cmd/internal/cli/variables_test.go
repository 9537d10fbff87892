package cli_test

import (
	"strings"
	"testing"

	"steward/cmd/internal/cli"
)

func TestVariables(t *testing.T) {
	for _, row := range []struct{ name, environ, want string }{
		{"none", "HOME=/root PATH=/bin", ""},
		{"known", "STEWARD_COAPS=:1 STEWARD_PASSPHRASE=x STEWARD_CONFIG=f STEWARD_LOG_LEVEL=debug STEWARD_KEEP_AUDIT=3", ""},
		{"of Kubernetes", "STEWARD_SERVICE_HOST=10.0.0.1 STEWARD_PORT=tcp://10.0.0.1:80 STEWARD_PORT_80_TCP_ADDR=10.0.0.1 " +
			"STEWARD_SERVICE_PORT_HTTP=80", ""},
		{"misspelt", "STEWARD_COAP_S=:1", "mean nothing: STEWARD_COAP_S (STEWARD_COAPS?)"},
		{"letters exchanged", "STEWARD_PUBILC_COAPS=:1", "STEWARD_PUBILC_COAPS (STEWARD_PUBLIC_COAPS?)"},
		{"in lower case after", "STEWARD_coaps=:1", "STEWARD_coaps"},
		{"like none", "STEWARD_QWXZ=1", "mean nothing: STEWARD_QWXZ"},
		{"nothing after", "STEWARD_=1", "STEWARD_"},
		{"two", "STEWARD_NAM=1 STEWARD_DATTA=2", "STEWARD_DATTA (STEWARD_DATA?), STEWARD_NAM (STEWARD_NAME?)"},
	} {
		err := cli.CheckVariables(strings.Fields(row.environ))
		if (err == nil) != (row.want == "") || err != nil && !strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

func FuzzDistance(f *testing.F) {
	f.Add("STEWARD_A", "STEWARD_BC")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 200 {
			return
		}
		d := cli.Distance(a, b)
		longer, shorter := max(len(a), len(b)), min(len(a), len(b))
		if d != cli.Distance(b, a) || d > longer || d < longer-shorter || (d == 0) != (a == b) {
			t.Errorf("Distance(%q, %q) = %d", a, b, d)
		}
	})
}
