// Package devcheck runs a device through every rule of the trust transfer that can be
// seen from outside, as its providers see it: "steward device-check". It makes a pair
// of providers that do as the checks say (refuse, keep silent, lie), gives the device
// messages with one defect each, watches what it does, and says which rule it breaks.
package devcheck

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/bundle"
	"steward/lwm2m"
	"steward/objects"
	"steward/objects/registry"
	"steward/transfer"
)

// ErrOptions reports Options that New refuses.
var ErrOptions = errors.New("unusable options")

// Options say what is checked. Zero means the default named.
type Options struct {
	Host     string        // where the device reaches the providers; 127.0.0.1
	Ports    [2]uint16     // of the outgoing and the incoming provider; any
	Endpoint string        // of the device; "device-check"
	IDs      objects.IDs   // of the three objects; those of OMA's test range
	Patience time.Duration // for each step of the device; 2 min
	Grace    time.Duration // that messages give, in whole seconds; 10 s
	NoClock  bool          // the device does not know the time
	First    bool          // end the run at the first breach
	Told     func(Finding) // of each finding, at once; nil: nobody
}

func (o Options) withDefaults() (Options, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Endpoint == "" {
		o.Endpoint = "device-check"
	}
	if o.IDs == (objects.IDs{}) {
		o.IDs = objects.DefaultIDs
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Told == nil {
		o.Told = func(Finding) {}
	}
	if o.Grace < time.Second || o.Patience < time.Second {
		return o, fmt.Errorf("%w: grace %v, patience %v: at least a second each", ErrOptions, o.Grace, o.Patience)
	}
	if _, err := lwm2m.ParseEndpoint(o.Endpoint); err != nil {
		return o, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return o, o.IDs.Validate(true)
}

// A Check is a run: two providers, a factory, a service user, and one device.
type Check struct {
	o       Options
	schema  lwm2m.Schema
	sp1     *provider
	sp2     *provider
	user    transfer.Signer // signs mandates
	factory *x509.Certificate
	root    *x509.Certificate // of the factory's CA
	bundle  *bundle.Bundle
	report  Report
	end     context.CancelFunc // ends the run
}

// New makes the providers and the device's bundle, and binds the sockets.
func New(o Options) (made *Check, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	c := &Check{o: o, report: Report{Endpoint: o.Endpoint, Findings: []Finding{}}}
	c.schema = registry.Default().With(append(objects.Definitions(o.IDs), objects.AdvancedFirmwareDefinition())...)
	defer func() {
		if err != nil {
			made, err = nil, errors.Join(err, c.sp1.close(), c.sp2.close())
		}
	}()
	permanent, err := newAuthority("Factory CA")
	if err != nil {
		return nil, err
	}
	c.root = permanent.certificate
	address := func(i int) string { return net.JoinHostPort(o.Host, fmt.Sprint(o.Ports[i])) }
	if c.sp1, err = newProvider("Outgoing", o.Host, address(0), c.root); err != nil {
		return nil, err
	}
	if c.sp2, err = newProvider("Incoming", o.Host, address(1), c.root); err != nil {
		return nil, err
	}
	owner, err := newAuthority("Owner")
	if err != nil {
		return nil, err
	}
	c.user = transfer.Signer{Key: owner.key, Certificate: owner.certificate.Raw}
	return c, c.makeBundle(permanent)
}

// Classes of devices, for bundles: no manifest is ever sent.
const (
	vendor = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	class  = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
)

// makeBundle makes what the factory puts into the device.
func (c *Check) makeBundle(permanent *authority) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	if c.factory, err = permanent.issue(&x509.Certificate{Subject: nameOf(c.o.Endpoint)}, key.Public()); err != nil {
		return err
	}
	text, err := bundle.EncodeKey(key)
	if err != nil {
		return err
	}
	home := &bundle.Provider{
		Name: c.sp1.name, ServerURI: c.sp1.uri(c.o.Host), EnrollURI: c.sp1.uri(c.o.Host), SSID: 1, Lifetime: lifetime,
	}
	for _, a := range c.sp1.anchors() {
		home.Anchors = append(home.Anchors, bundle.NewAnchor(a.Certificate, a.Purposes))
	}
	home.Anchors = append(home.Anchors, bundle.NewAnchor(c.user.Certificate, transfer.MandateSigner))
	c.bundle = &bundle.Bundle{
		Version: bundle.Version, Endpoint: c.o.Endpoint, Provider: home, Objects: bundle.ObjectIDs(c.o.IDs),
		Factory: bundle.Factory{Key: text, Chain: []string{bundle.EncodeCertificate(c.factory.Raw)}},
		Anchors: []bundle.Anchor{bundle.NewAnchor(c.root.Raw, transfer.Enrol|transfer.Fallback)},
		Hardware: bundle.Hardware{
			Manufacturer: "Device check", Model: "Device", Serial: "1", Vendor: vendor, Class: class,
		},
		Firmware: bundle.Firmware{Version: "1.0.0", Sequence: 1},
	}
	return c.bundle.Complete()
}

// Bundle returns what the device must hold before Run: factory key and certificate,
// anchors, and the provider that it belongs to. It is to be written where the device
// finds it.
func (c *Check) Bundle() *bundle.Bundle { return c.bundle }

// Run waits for the device and checks it. The error says why it could not go on; the
// report has what was found until then.
func (c *Check) Run(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.end = cancel
	var providers errgroup.Group
	for _, p := range []*provider{c.sp1, c.sp2} {
		providers.Go(func() error { return p.run(ctx) })
	}
	err := c.all(ctx)
	if c.o.First && c.report.Breaches > 0 {
		err = nil // it has ended on purpose
	}
	cancel()
	return c.report, errors.Join(err, providers.Wait())
}
