package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
	"steward/suit/author"
)

// factoryOptions are the flags of "ca factory".
type factoryOptions struct {
	data, name, out, prefix, provider string
	first, count                      int
	manufacturer, model               string
	vendor, class, version            string
}

// maxBatch bounds one call: more is a mistake, or several calls.
const maxBatch = 100_000

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ca", Short: "Certificate authorities: the inventory of a running provider, and factories", Args: noArgs,
		Long: `What a running provider's CA has issued, and what is to be done about it, by its
REST API (--url, --token-file); the keys of a provider that does not run, in its
data directory; and the permanent CA of a factory, in a directory of its own.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFactory(), newC509(), newCAKeys(), newRollover(), newCARequest(), newCAInstall(), newCACertify())
	o := &operator{}
	for _, c := range []*cobra.Command{
		o.caInventory(), o.caCertificates(), o.caShow(), o.caRevoke(), o.caPasswords(), o.caUpstream(), o.caApprovals(),
		o.caCRL(), o.caOCSPStatus(),
	} {
		o.flags(c)
		cmd.AddCommand(c)
	}
	return cmd
}

func newFactory() *cobra.Command {
	var o factoryOptions
	cmd := &cobra.Command{
		Use: "factory", Short: "Make device bundles with factory certificates", Args: noArgs,
		Long: `Makes devices as a factory does: for each a key, a factory certificate of the
permanent CA in --data (made at the first call), and a bundle NAME.device.json in
--out, from which "steward device" runs it. The permanent CA's certificate is
written to OUT/permanent-ca.pem: list it at the provider, which then lets in the
devices that it knows.

A bundle holds the device's private key. Give --provider the device settings of a
provider (GET /api/v1/device-settings) to deliver the devices to it.`,
		Example: "  steward ca factory --out devices --count 10 --provider settings.json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return makeDevices(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "factory-data", "`directory` of the permanent CA")
	f.StringVar(&o.name, "name", "Factory CA", "the permanent CA's name")
	f.StringVar(&o.out, "out", "devices", "`directory` for the bundles")
	f.StringVar(&o.prefix, "prefix", "device-", "endpoint names are this and a number")
	f.IntVar(&o.first, "first", 1, "number of the first device")
	f.IntVar(&o.count, "count", 1, "how many devices")
	f.StringVar(&o.provider, "provider", "", "`file` with the device settings of the provider they are delivered to")
	f.StringVar(&o.manufacturer, "manufacturer", "Steward", "resource /3/0/0")
	f.StringVar(&o.model, "model", "Simulated device", "resource /3/0/1")
	f.StringVar(&o.vendor, "vendor", "steward.example", "vendor's domain, for SUIT manifests")
	f.StringVar(&o.class, "class", "simulated", "class of devices, for SUIT manifests")
	f.StringVar(&o.version, "firmware", "1.0.0", "firmware version at first")
	return cmd
}

func makeDevices(cmd *cobra.Command, o factoryOptions) (err error) {
	if o.count < 1 || o.count > maxBatch {
		return fmt.Errorf("%w: --count %d, want 1 to %d", errMisused, o.count, maxBatch)
	}
	template, err := o.template()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return err
	}
	ca, err := app.OpenPermanent(cmd.Context(), o.data, o.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ca.Close()) }()
	if err := keys.WriteFile(filepath.Join(o.out, "permanent-ca.pem"), []byte(ca.Root())); err != nil {
		return err
	}
	for i := range o.count {
		path, err := o.makeOne(cmd.Context(), ca, template, o.first+i)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), path); err != nil {
			return err
		}
	}
	return nil
}

func (o factoryOptions) makeOne(ctx context.Context, ca *app.Permanent, template bundle.Bundle, n int) (string, error) {
	b, err := ca.Make(ctx, template, fmt.Sprintf("%s%04d", o.prefix, n))
	if err != nil {
		return "", err
	}
	b.Hardware.Serial = b.Endpoint
	return b.Write(o.out)
}

// template is what all devices of the batch share.
func (o factoryOptions) template() (bundle.Bundle, error) {
	vendor := author.VendorID(o.vendor)
	b := bundle.Bundle{
		Hardware: bundle.Hardware{
			Manufacturer: o.manufacturer, Model: o.model, Vendor: vendor.String(),
			Class: author.ClassID(vendor, o.class).String(),
		},
		Firmware: bundle.Firmware{Version: o.version, Sequence: 1},
	}
	if o.provider == "" {
		return b, nil
	}
	text, err := os.ReadFile(o.provider)
	if err != nil {
		return b, err
	}
	var settings struct {
		bundle.Provider
		Objects bundle.ObjectIDs `json:"objects"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return b, fmt.Errorf("%w: --provider %s: %w", errMisused, o.provider, err)
	}
	b.Provider, b.Objects = &settings.Provider, settings.Objects
	return b, nil
}
