package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"steward/cmd/internal/keys"
)

// Hierarchies of the CAs (figure 1 of Höglund, Furuhed and Raza, "Towards Automated
// PKI Trust Transfer for IoT").
const (
	hierarchyOwn    = "a" // each provider has a root of its own, the factory another
	hierarchyBelow  = "b" // Beta's CA is below the permanent CA, Alpha's has a root of its own
	hierarchyShared = "c" // both are below the permanent CA
	hierarchySingle = "d" // Alpha's CA is also the permanent CA; each provider has one CA in all roles
)

// Hierarchies names the arrangements of CAs that can be shown; the first is the
// default.
func Hierarchies() []string {
	return []string{hierarchyOwn, hierarchyBelow, hierarchyShared, hierarchySingle}
}

// factoryData is the directory of the permanent CA.
func (d *demo) factoryData() string {
	if d.o.Hierarchy == hierarchySingle {
		return filepath.Join(d.dir, "alpha")
	}
	return filepath.Join(d.dir, "factory")
}

// prepareCA gives a provider the CA that the hierarchy wants, before its first
// start, and returns what "steward serve" must be told.
func (d *demo) prepareCA(ctx context.Context, name string) (args []string, err error) {
	var kind string
	switch {
	case d.o.Hierarchy == hierarchySingle:
		kind = "single"
	case d.o.Hierarchy == hierarchyShared, d.o.Hierarchy == hierarchyBelow && name == nameBeta:
		kind = "subordinate"
	default:
		return nil, nil
	}
	short := strings.ToLower(name)
	settings := filepath.Join(d.dir, short+".toml")
	if err := keys.WriteFile(settings, fmt.Appendf(nil, "[ca]\nhierarchy = %q\n", kind)); err != nil {
		return nil, err
	}
	if kind == "subordinate" {
		err = d.certify(ctx, name, settings)
	}
	return []string{"--config", settings}, err
}

// certify has the permanent CA certify a provider's issuing CA, by files.
func (d *demo) certify(ctx context.Context, name, settings string) error {
	short := strings.ToLower(name)
	data := filepath.Join(d.dir, short)
	request, chain := filepath.Join(d.dir, short+".csr.pem"), filepath.Join(d.dir, short+".chain.pem")
	for _, args := range [][]string{
		{"ca", "request", "--data", data, "--config", settings, "--name", name, "--out", request},
		{"ca", "certify", request, "--data", d.factoryData(), "--out", chain},
		{"ca", "install", chain, "--data", data, "--config", settings, "--name", name},
	} {
		if err := d.runToEnd(ctx, short+"-ca", args...); err != nil {
			return err
		}
	}
	return nil
}

// runToEnd runs a command of ours to its end.
func (d *demo) runToEnd(ctx context.Context, name string, args ...string) error {
	p, err := start(ctx, d.dir, name, args...)
	if err != nil {
		return err
	}
	for range p.lines { // until it ends
		continue
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("steward %s: %w; see %s", strings.Join(args[:2], " "), p.err, p.log)
	}
	return nil
}
