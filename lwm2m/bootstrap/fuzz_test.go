package bootstrap_test

import (
	"testing"

	"steward/lwm2m/bootstrap"
)

// FuzzDiscover has a device answer Discover with anything: no command, of the first
// plan or of the repair, touches what the answer calls a bootstrap account.
func FuzzDiscover(f *testing.F) {
	for _, s := range []string{
		`</>;lwm2m=1.1,</0/0>;ssid=101;uri="coaps://a",</0/1>,</1/0>;ssid=101`, `lwm2m="1.0",</0/0>,</0/1>;ssid=7`,
		`</>;lwm2m=9.9,</0/65534>`, `</0>`, ``, `</0/1>;ssid=x`, `</0/0>;ssid=65535`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := bootstrap.Configuration{Accounts: []bootstrap.Account{account(101)}}
		paths, err := bootstrap.Plan(c, body)
		if err != nil {
			return
		}
		bootstraps := bootstrap.Bootstraps(body)
		for _, p := range paths {
			for _, own := range bootstraps {
				if p.Object() == 0 && (p.Len() < 2 || p.ID(1) == own) {
					t.Fatalf("%s touches the bootstrap account", p)
				}
			}
		}
	})
}
