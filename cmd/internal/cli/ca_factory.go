package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/batch"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
	"steward/est"
)

// factoryOptions are the flags of "ca factory".
type factoryOptions struct {
	data, name, out, prefix, provider string
	permanent                         string // URI
	owner                             string // file with the certificate of a service user
	first, count                      int
	manufacturer, model               string
	vendor, class, version            string
	components                        []string
	csv, requests, list               string
	replace                           bool
}

// maxBatch bounds one call: more is a mistake, or several calls.
const maxBatch = batch.MaxEntries

func newFactory() *cobra.Command {
	var o factoryOptions
	cmd := &cobra.Command{
		Use: "factory", Short: "Make device bundles with factory certificates, one or a hundred thousand", Args: noArgs,
		Long: `Makes devices as a factory does: for each a key, a factory certificate of the
permanent CA in --data (made at the first call), and a bundle NAME.device.json in
--out, from which "steward device" runs it. The permanent CA's certificate is
written to OUT/permanent-ca.pem: list it at the provider, which then lets in the
devices that it knows.

Names are --prefix and a number, or those of --csv: columns endpoint, manufacturer,
model, serial and firmware, of which the first is needed. With --requests nothing is
made but certificates, NAME.pem, for the requests (PKCS #10, in PEM or DER) of
devices that made their keys themselves. --list writes what providers need to know
of all of them; "steward ca import" takes it there.

A bundle holds the device's private key. Give --provider the device settings of a
provider (GET /api/v1/device-settings) to deliver the devices to it.`,
		Example: "  steward ca factory --out devices --count 10 --provider settings.json\n" +
			"  steward ca factory --csv line-7.csv --list line-7.x5bag\n" +
			"  steward ca factory --requests csrs --out certificates --list delivered.csv",
		RunE: func(cmd *cobra.Command, _ []string) error { return makeDevices(cmd, o) },
	}
	f := cmd.Flags()
	p := cmd.PersistentFlags()
	p.StringVar(&o.data, "data", "factory-data", "`directory` of the permanent CA")
	p.StringVar(&o.name, "name", "Factory CA", "the permanent CA's name")
	f.StringVar(&o.out, "out", "devices", "`directory` for the bundles or certificates")
	f.StringVar(&o.prefix, "prefix", "device-", "endpoint names are this and a number")
	f.IntVar(&o.first, "first", 1, "number of the first device")
	f.IntVar(&o.count, "count", 1, "how many devices")
	f.StringVar(&o.csv, "csv", "", "`file` with the devices to make, instead of --prefix, --first and --count")
	f.StringVar(&o.requests, "requests", "", "`directory` of requests, or a file with some; no keys are made")
	f.StringVar(&o.list, "list", "", "write the factory certificates to a `file`: .csv, .pem, .x5bag or .c5b")
	f.BoolVar(&o.replace, "replace", false, "revoke what devices of these names had before; else they are refused")
	f.StringVar(&o.provider, "provider", "", "`file` with the device settings of the provider they are delivered to")
	f.StringVar(&o.permanent, "permanent-uri", "",
		"coaps `URI` at which devices re-key their factory certificates, see serve; they refuse without")
	f.StringVar(&o.owner, "mandate-signer", "",
		"`file` with the certificate (PEM) of the service user without whose mandate devices do not move")
	f.StringVar(&o.manufacturer, "manufacturer", "Steward", "resource /3/0/0")
	f.StringVar(&o.model, "model", "Simulated device", "resource /3/0/1")
	f.StringVar(&o.vendor, "vendor", "steward.example", "vendor's domain, for SUIT manifests")
	f.StringVar(&o.class, "class", "simulated", "class of devices, for SUIT manifests")
	f.StringVar(&o.version, "firmware", "1.0.0", "firmware version at first")
	f.StringArrayVar(&o.components, "component", nil,
		"`component` that manifests may update: segments in hexadecimal, joined by /;\n"+
			"may be repeated, the firmware's first (default 00)")
	cmd.AddCommand(newFactoryServe(&o), newFactoryRequest(), newFactoryCRL(&o))
	return cmd
}

func makeDevices(cmd *cobra.Command, o factoryOptions) (err error) {
	all, err := o.work()
	if err != nil {
		return err
	}
	if o.list != "" { // before the work, not after it
		if _, err := batch.FormatOf(o.list); err != nil {
			return fmt.Errorf("%w: %w", errMisused, err)
		}
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
	entries, refused, err := runBatch(cmd, ca, all)
	if err != nil {
		return err
	}
	return finishBatch(o.list, entries, refused, len(all))
}

// finishBatch writes the list of what was made, and says whether all was.
func finishBatch(list string, entries []batch.Entry, refused, all int) error {
	if list != "" && len(entries) > 0 {
		format, err := batch.FormatOf(list)
		if err != nil {
			return fmt.Errorf("%w: %w", errMisused, err)
		}
		var text bytes.Buffer
		if err := batch.Write(&text, format, entries); err != nil {
			return err
		}
		if err := keys.WriteFile(list, text.Bytes()); err != nil {
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%w: %d of %d; the others are made", errRefusedSome, refused, all)
	}
	return nil
}

// errRefusedSome reports a batch of which not all went well.
var errRefusedSome = errors.New("some were refused")

// A making makes one device of a batch. It returns the file that it wrote.
type making func(ctx context.Context, ca *app.Permanent) (path string, e batch.Entry, err error)

// together is how many devices are made at once: their rows share a commit.
const together = 64

// runBatch makes all, together at a time, and prints a line for each in order. One
// that is refused does not keep the others out; anything else ends the batch.
func runBatch(cmd *cobra.Command, ca *app.Permanent, all []making) (entries []batch.Entry, refused int, err error) {
	for some := range slices.Chunk(all, together) {
		for _, m := range makeSome(cmd.Context(), ca, some) {
			line, to := m.path, cmd.OutOrStdout()
			switch {
			case m.err == nil:
				entries = append(entries, m.entry)
			case app.RefusedByPermanent(m.err):
				refused++
				line, to = m.err.Error(), cmd.ErrOrStderr()
			default:
				return entries, refused, m.err
			}
			if _, err := fmt.Fprintln(to, line); err != nil {
				return entries, refused, err
			}
		}
	}
	return entries, refused, nil
}

// made is what became of a making.
type made struct {
	path  string
	entry batch.Entry
	err   error
}

func makeSome(ctx context.Context, ca *app.Permanent, some []making) []made {
	out := make([]made, len(some))
	var group sync.WaitGroup
	for i, one := range some {
		group.Go(func() { out[i].path, out[i].entry, out[i].err = one(ctx, ca) })
	}
	group.Wait()
	return out
}

// work returns what the flags ask for.
func (o factoryOptions) work() ([]making, error) {
	if o.requests != "" {
		if o.csv != "" || o.provider != "" {
			return nil, fmt.Errorf("%w: --requests makes certificates alone: not with --csv or --provider", errMisused)
		}
		return o.certifyAll()
	}
	template, err := o.template()
	if err != nil {
		return nil, err
	}
	devices, err := o.devices()
	if err != nil {
		return nil, err
	}
	out := make([]making, len(devices))
	for i, d := range devices {
		out[i] = func(ctx context.Context, ca *app.Permanent) (string, batch.Entry, error) {
			return o.makeOne(ctx, ca, template, d)
		}
	}
	return out, nil
}

// devices are those that the flags name.
func (o factoryOptions) devices() ([]batch.Device, error) {
	if o.csv != "" {
		text, err := os.ReadFile(o.csv)
		if err != nil {
			return nil, misusedFile(err)
		}
		list, err := batch.ReadDevices(text)
		if err != nil {
			return nil, fmt.Errorf("%w: --csv %s: %w", errMisused, o.csv, err)
		}
		return list, nil
	}
	if o.count < 1 || o.count > maxBatch {
		return nil, fmt.Errorf("%w: --count %d, want 1 to %d", errMisused, o.count, maxBatch)
	}
	out := make([]batch.Device, o.count)
	for i := range out {
		out[i].Endpoint = fmt.Sprintf("%s%04d", o.prefix, o.first+i)
	}
	return out, nil
}

func (o factoryOptions) makeOne(ctx context.Context, ca *app.Permanent, template bundle.Bundle, d batch.Device) (
	string, batch.Entry, error,
) {
	if err := o.replaced(ctx, ca, d.Endpoint); err != nil {
		return "", batch.Entry{}, err
	}
	h := &template.Hardware
	h.Serial = cmp.Or(d.Serial, d.Endpoint)
	h.Manufacturer, h.Model = cmp.Or(d.Manufacturer, h.Manufacturer), cmp.Or(d.Model, h.Model)
	template.Firmware.Version = cmp.Or(d.Firmware, template.Firmware.Version)
	b, err := ca.Make(ctx, template, d.Endpoint)
	if err != nil {
		return "", batch.Entry{}, err
	}
	_, chain, err := b.FactoryIdentity()
	if err != nil {
		return "", batch.Entry{}, err
	}
	path, err := b.Write(o.out)
	return path, batch.Entry{Certificate: chain[0], Endpoint: d.Endpoint, KeyOrigin: est.OriginCA}, err
}

// replaced revokes what the name had before, if that was asked for.
func (o factoryOptions) replaced(ctx context.Context, ca *app.Permanent, endpoint string) error {
	if !o.replace {
		return nil
	}
	return ca.Replace(ctx, endpoint)
}
