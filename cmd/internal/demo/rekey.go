package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/enrol"
	"steward/lwm2m"
	"steward/transfer"
	"steward/web"
)

// hostFactory is where the permanent CA is served.
const hostFactory = "127.0.0.13"

// permanentURI is where devices re-key; "": nowhere.
func (d *demo) permanentURI() string {
	if !d.o.Rekey {
		return ""
	}
	return "coaps://" + hostFactory + ":" + portCoAPS
}

// serveFactory serves the permanent CA to the devices of both providers.
func (d *demo) serveFactory(ctx context.Context) (err error) {
	args := []string{
		"ca", "factory", "serve", "--data", d.factoryData(), "--listen", "off", "--host", hostFactory,
		"--coaps", hostFactory + ":" + portCoAPS,
	}
	for _, p := range []*provider{d.alpha, d.beta} {
		args = append(args, "--provider", p.name+"="+filepath.Join(p.data, "pki", "issuing.pem"))
	}
	if d.factory, err = start(ctx, d.dir, "factory-coaps", args...); err != nil {
		return err
	}
	_, err = d.factory.until(ctx, d.permanentURI())
	return err
}

// rekey has all devices make factory keys of their own, on the word of Alpha.
func (d *demo) rekey(ctx context.Context) error {
	if err := d.serveFactory(ctx); err != nil {
		return err
	}
	devices, err := d.alpha.online(ctx)
	if err != nil {
		return err
	}
	for _, name := range d.names {
		order := web.EnrolmentOrder{Action: string(enrol.Rekey), Reason: "the factory made the key"}
		if err := d.alpha.api.Post(ctx, "/devices/"+devices[name].ID+"/enrolment", order, nil); err != nil {
			return err
		}
	}
	return d.untilRekeyed(ctx, d.alpha)
}

// rekeyAtBeta waits for what Beta has devices do that come from another provider.
func (d *demo) rekeyAtBeta(ctx context.Context) error {
	return d.untilRekeyed(ctx, d.beta)
}

func (d *demo) untilRekeyed(ctx context.Context, p *provider) error {
	return waitFor(ctx, d.limit(), func(context.Context) (bool, error) {
		n := d.fleet.at(sim.Rekeyed, p.host)
		d.show.progress(n)
		return n == d.o.Devices, nil
	})
}

// at returns of how many devices the last event of a kind was at a provider.
func (f *simulated) at(k sim.Kind, host string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.seen[k] {
		count(&n, e.Server == host)
	}
	return n
}

// factories are the factory certificates that the devices have now.
func (d *demo) factories() (out []transfer.Hash, err error) {
	bundles, err := loadBundles(d.dir)
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		s, err := sim.Inspect(d.fleet.state, b)
		if err != nil {
			return nil, err
		}
		out = append(out, transfer.HashOf(s.Factory))
	}
	return out, nil
}

// rekeyed counts a device that has a factory key of its own, by which all know it, and
// whose key from the factory opens neither of the providers.
func (x *examiner) rekeyed(ctx context.Context, b *bundle.Bundle, s *sim.Snapshot) error {
	if !x.d.o.Rekey {
		return nil
	}
	key, chain, err := b.FactoryIdentity()
	if err != nil {
		return err
	}
	home, hosts := x.beta, []string{hostAlpha, hostBeta}
	if x.d.fault.home != moved {
		home = x.alpha
	}
	known, err := knows(ctx, home, b.Endpoint, s.Factory)
	if err != nil || !known || slices.Equal(chain[0], s.Factory) {
		return err
	}
	for _, host := range hosts {
		refused, err := x.handshakeRefused(ctx, host, &tls.Certificate{Certificate: chain, PrivateKey: key})
		if err != nil || !refused {
			return err
		}
	}
	x.report.Rekeyed++
	return nil
}

// knows reports whether a provider goes by a factory certificate, for a key that the
// device made.
func knows(ctx context.Context, db *sqlite.DB, endpoint string, certificate []byte) (bool, error) {
	hash := est.Hash(transfer.HashOf(certificate))
	d, err := db.Devices().ByEndpoint(ctx, lwm2m.Endpoint(endpoint))
	if err != nil {
		return false, ignoreUnknownDevice(err)
	}
	origin, err := db.Inventory().KeyOrigin(ctx, hash)
	if err != nil {
		return false, ignoreUnknown(err)
	}
	right, err := db.Inventory().Right(ctx, hash)
	if err != nil {
		return false, ignoreUnknown(err)
	}
	return est.Hash(d.Factory) == hash && origin == est.OriginDevice && right.Endpoint == endpoint, nil
}

// checkRekey returns ErrOptions for a re-key that cannot be.
func (o *Options) checkRekey() error {
	if o.Rekey && o.Hierarchy == hierarchySingle {
		return fmt.Errorf("%w: no re-key where Alpha is the factory", ErrOptions)
	}
	return nil
}
