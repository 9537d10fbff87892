package cli

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/bundle"
	device "steward/cmd/internal/sim/trial"
	"steward/lwm2m"
	"steward/lwm2m/codec"
)

// trialFlags are the flags of devices for tests.
type trialFlags struct {
	o       device.Options
	nosec   []string
	psk     string
	rawKey  string
	known   string
	count   int
	version string
	format  string
	loss    string
	twice   string
	name    string
}

func (t *trialFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&t.nosec, "nosec", nil, "test device: coap `URI` of a server; may be repeated")
	f.StringVar(&t.psk, "psk", "", "test device: `IDENTITY:HEX`, for --server or --bootstrap")
	f.StringVar(&t.rawKey, "raw-key", "", "test device: `file` of a private key, whose public key it shows")
	f.StringVar(&t.known, "server-key", "", "test device: `file` of the servers' public key or certificate")
	f.StringVar(&t.o.Bootstrap, "bootstrap", "", "test device: coap or coaps `URI` of a bootstrap server")
	f.BoolVar(&t.o.Pack, "pack", false, "test device: bootstrap by one Bootstrap-Pack (LwM2M 1.2)")
	f.StringVar(&t.name, "endpoint", "", "test device: endpoint `name` (default trial, or the bundle's)")
	f.IntVar(&t.count, "count", 1, "test device: how many; names get -1, -2 …")
	f.StringVar(&t.version, "version", "1.2", "test device: LwM2M 1.0, 1.1 or 1.2")
	f.StringVar(&t.format, "format", "", "test device: tlv, senml-json, senml-cbor, lwm2m-cbor; the first choice")
	f.StringVar(&t.o.Root, "root", "", "test device: alternate `path`")
	f.DurationVar(&t.o.Lifetime, "lifetime", 0, "test device: of registrations (default 5m)")
	f.StringSliceVar(&t.o.Objects, "objects", []string{"4", "6"}, "test device: ids beside 0, 1, 3; \"10/1.1\" chooses")
	f.StringSliceVar(&t.o.Behind, "behind", nil, "test device: `prefixes` of end devices behind a gateway (object 25)")
	f.DurationVar(&t.o.Every, "every", 0, "test device: between changes of values (default 30s)")
	f.DurationVar(&t.o.SendEvery, "send", 0, "test device: between Sends with all values since (default none)")
	f.BoolVar(&t.o.Queue, "queue", false, "queue mode, with the radio off")
	f.DurationVar(&t.o.Awake, "awake", 0, "in queue mode the radio stays on after traffic (default 93s)")
	f.StringVar(&t.loss, "loss", "", "`share` of datagrams lost each way, such as 5%")
	f.StringVar(&t.twice, "duplicate", "", "test device: `share` of datagrams sent twice")
	f.DurationVar(&t.o.NAT, "nat", 0, "test device: between changes of its address (default none)")
	f.DurationVar(&t.o.RebootEvery, "reboot-every", 0, "test device: between restarts (default none)")
	f.DurationVar(&t.o.Slow, "slow", 0, "test device: before each answer (default none)")
}

// wanted reports whether the flags ask for a test device.
func (t *trialFlags) wanted() bool {
	return len(t.nosec) > 0 || t.psk != "" || t.rawKey != "" || t.o.Bootstrap != ""
}

var trialFormats = map[string]uint16{
	"": 0, "tlv": codec.TLV, "senml-json": codec.SenMLJSON, "senml-cbor": codec.SenMLCBOR, "lwm2m-cbor": codec.LwM2MCBOR,
}

// options completes the options.
func (t *trialFlags) options(server, faults string, args []string) (err error) {
	o := &t.o
	o.Servers = t.nosec
	if server != "" {
		o.Servers = append(o.Servers, server)
	}
	if t.psk != "" {
		identity, key, _ := strings.Cut(t.psk, ":")
		if o.Key, err = hex.DecodeString(key); err != nil || len(o.Key) == 0 {
			return fmt.Errorf("%w: --psk is IDENTITY:HEX", errMisused)
		}
		o.Identity = identity
	}
	if t.rawKey != "" {
		if o.RawKey, err = rawKeyOf(t.rawKey, t.known); err != nil {
			return err
		}
	}
	if o.Version, err = lwm2m.ParseVersion(t.version); err != nil {
		return fmt.Errorf("%w: --version: %w", errMisused, err)
	}
	var ok bool
	if o.Format, ok = trialFormats[t.format]; !ok {
		return fmt.Errorf("%w: --format %q", errMisused, t.format)
	}
	if o.Loss, err = share("loss", t.loss); err != nil {
		return err
	}
	if o.Duplicate, err = share("duplicate", t.twice); err != nil {
		return err
	}
	if o.Faults, err = device.ParseFaults(faults); err != nil {
		return fmt.Errorf("%w: --misbehave: %w", errMisused, err)
	}
	return t.factory(args)
}

// share reads "5%" or "0.05".
func share(flag, text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: --%s %q", errMisused, flag, text)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

// factory takes name, key and certificate from a bundle, where there is one.
func (t *trialFlags) factory(args []string) (err error) {
	name := t.name
	if len(args) > 0 {
		bundles, err := bundle.Load(args...)
		if err != nil {
			return err
		}
		if len(bundles) != 1 || t.count > 1 {
			return fmt.Errorf("%w: a test device has one bundle at most", errMisused)
		}
		if t.o.Factory, err = factoryOf(bundles[0]); err != nil {
			return err
		}
		name = cmp.Or(name, bundles[0].Endpoint)
	}
	if t.o.Endpoint, err = lwm2m.ParseEndpoint(cmp.Or(name, "trial")); err != nil {
		return fmt.Errorf("%w: --endpoint: %w", errMisused, err)
	}
	return nil
}

func factoryOf(b *bundle.Bundle) (f *device.Factory, err error) {
	f = &device.Factory{}
	if f.Key, f.Chain, err = b.FactoryIdentity(); err != nil {
		return nil, err
	}
	anchors, err := b.Truststore()
	if err != nil {
		return nil, err
	}
	for i := range anchors {
		c, err := anchors[i].X509()
		if err != nil {
			return nil, err
		}
		f.CAs = append(f.CAs, c.Raw)
	}
	return f, nil
}

// run runs the devices until the command ends.
func (t *trialFlags) run(cmd *cobra.Command) error {
	devices := make([]*device.Device, max(t.count, 1))
	for i := range devices {
		o := t.o
		if t.count > 1 {
			o.Endpoint = lwm2m.Endpoint(fmt.Sprintf("%s-%d", o.Endpoint, i+1))
		}
		var err error
		if devices[i], err = device.New(o); err != nil {
			return fmt.Errorf("%w: %w", errMisused, err)
		}
	}
	var work sync.WaitGroup
	failed := make(chan error, len(devices))
	for _, d := range devices {
		work.Go(func() { failed <- d.Run(cmd.Context()) })
	}
	work.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}
