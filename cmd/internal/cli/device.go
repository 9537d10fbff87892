package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/est/estcoap"
	"steward/transfer"
)

func newDevice() *cobra.Command {
	var o sim.Options
	var t trialFlags
	var server, level, faults, by string
	var asJSON, logJSON bool
	cmd := &cobra.Command{
		Use: "device [flags] BUNDLE…", Short: "Run simulated devices",
		Long: `Runs devices from their bundles (files, or directories of *.device.json), each a
complete LwM2M client with sockets of its own: it enrols by EST-coaps, registers,
serves its objects, takes signed updates, and moves to another provider when told
to. What it is survives in --state; stop and start it at any time.

--server sends the devices to another server than their bundles name, by the same
certificates; its enrolment is below SERVER/est.

With --nosec, --psk, --raw-key or --bootstrap it is a device for tests of servers instead: any
version and format, with or without a bundle, well or badly behaved as its flags
say. Its state lasts as long as the process.`,
		Example: `  steward device --state state devices/
  steward device --nosec coap://127.0.0.1:5683 --version 1.1 --format tlv --loss 5%
  steward device --bootstrap coaps://127.0.0.1:5684 --psk factory-1:00112233445566778899aabbccddeeff`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := newLog(cmd.ErrOrStderr(), level, logJSON)
			if err != nil {
				return err
			}
			o.Log = log
			files, err := cmd.Flags().GetStringArray("bootstrap-file")
			if err != nil {
				return err
			}
			args = append(args, files...)
			if t.wanted() {
				if err := t.options(server, faults, args); err != nil {
					return err
				}
				t.o.Events, t.o.Log, t.o.FaultTime, t.o.Retry = printer(cmd, asJSON), log, o.Misbehave.For, o.RetryFirst
				return t.run(cmd)
			}
			o.Transport, o.Queue, o.Awake = sim.Transport(by), t.o.Queue, t.o.Awake
			if o.Loss, err = share("loss", t.loss); err != nil {
				return err
			}
			return runFleet(cmd, args, server, faults, asJSON, &o)
		},
	}
	f := cmd.Flags()
	f.StringArray("bootstrap-file", nil, "a bundle `file`, as an argument is")
	f.StringVar(&server, "server", "", "coaps `URI` of another server than the bundles name")
	f.StringVar(&by, "transport", "udp", "udp (DTLS), tls, or tcp without security to the LwM2M server")
	f.StringVar(&faults, "misbehave", "",
		"`faults` in updates, joined by commas: timeout, wrong-result, reboot, sleep, defer; of a test device\n"+
			"in answers: wrong-format, garbage, late, silent, error, duplicate")
	f.BoolVar(&asJSON, "json", false, "print events as JSON lines")
	f.StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	f.BoolVar(&logJSON, "log-json", false, "log in JSON lines")
	deviceFlags(f, &o)
	t.add(f)
	return cmd
}

// runFleet runs the devices of bundles.
func runFleet(cmd *cobra.Command, args []string, server, faults string, asJSON bool, o *sim.Options) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: name at least one bundle; \"steward ca factory\" makes them", errMisused)
	}
	bundles, err := bundle.Load(args...)
	if err != nil {
		return err
	}
	if err := redirect(bundles, server); err != nil {
		return err
	}
	if o.Misbehave.Faults, err = sim.ParseFaults(faults); err != nil {
		return fmt.Errorf("%w: --misbehave: %w", errMisused, err)
	}
	o.Events = printer(cmd, asJSON)
	return (&sim.Fleet{Bundles: bundles, Options: *o}).Run(cmd.Context())
}

func deviceFlags(f *pflag.FlagSet, o *sim.Options) {
	f.StringVar(&o.StateDir, "state", "device-state", "`directory` of the devices' state")
	f.DurationVar(&o.AckTimeout, "ack-timeout", 0, "CoAP ACK_TIMEOUT (default 2s)")
	f.DurationVar(&o.HandshakeTimeout, "handshake-timeout", 0, "of DTLS (default 20s)")
	f.DurationVar(&o.FlightInterval, "flight-interval", 0, "first DTLS retransmission (default 1s)")
	f.DurationVar(&o.RetryFirst, "retry", 0, "before what failed is repeated (default 30s)")
	f.DurationVar(&o.RetryMax, "retry-max", 0, "longest such time (default 1h)")
	f.DurationVar(&o.KeepAlive, "keep-alive", 0, "CoAP ping while registered, in queue mode an update (default none)")
	f.DurationVar(&o.Battery, "battery", 0, "between changes of the battery level (default 30s)")
	f.DurationVar(&o.Tick, "tick", 0, "granularity of powered time in a transfer (default 1s)")
	f.DurationVar(&o.Reboot, "reboot", 0, "how long a restart takes (default none)")
	f.Float64Var(&o.Misbehave.Share, "misbehave-share", 1, "of the devices that misbehave, 0 to 1")
	f.Uint64Var(&o.Misbehave.Seed, "misbehave-seed", 0, "chooses which devices misbehave")
	f.DurationVar(&o.Misbehave.For, "misbehave-for", 0,
		"how long sleep and defer last (default 10s), and by how much\n"+
			"late answers of a test device are late (default 60s)")
	f.DurationVar(&o.RenewBefore, "renew-before", 0,
		"before a certificate's end the device renews it by itself (default a fifth of its life)")
	f.StringVar((*string)(&o.RenewalFault), "renewal-fault", "",
		"how renewals fail: refused, lost (the answer), unused (the new certificate)")
	f.IntVar(&o.RenewalFaults, "renewal-faults", 0, "how many do (default all)")
	f.IntVar(&o.StreamPort, "stream-port", 0, "of TCP and TLS (default that of the URI; without security 5683)")
	f.BoolVar(&o.CertsOnly, "certs-only", false, "ask EST for PKCS#7 (281)")
	f.TextVar(&o.C509, "c509-formats", estcoap.C509Formats{},
		"enrol in C509: the `numbers` of its content formats, as \"steward serve\" has them")
	f.BoolVar(&o.NativeRequests, "c509-native", false, "sign requests in C509 natively (type 2)")
	f.BoolVar(&o.NoCID, "no-cid", false, "without DTLS connection identifiers")
	f.BoolVar(&o.NoClock, "no-clock", false, "a device that does not know the time")
	f.BoolVar(&o.NoSync, "no-sync", false, "leave journal writes to the system; for load tests")
	f.BoolVar(&o.Tamper, "tamper", false, "run altered images, which evidence shows")
	f.BoolVar(&o.KeepOldKeys, "keep-old-keys", false, "copy keys aside before the wipe; for demonstrations")
}

// redirect points bundles at another server.
func redirect(bundles []*bundle.Bundle, server string) error {
	if server == "" {
		return nil
	}
	if _, err := transfer.HostOf(server); err != nil {
		return fmt.Errorf("%w: --server: %w", errMisused, err)
	}
	for _, b := range bundles {
		if b.Provider != nil {
			b.Provider.ServerURI, b.Provider.EnrollURI = server, server
		}
	}
	return nil
}

// printer prints events on stdout, one a line.
func printer(cmd *cobra.Command, asJSON bool) func(sim.Event) {
	var mu sync.Mutex
	out := cmd.OutOrStdout()
	encode := json.NewEncoder(out)
	return func(e sim.Event) {
		mu.Lock()
		defer mu.Unlock()
		if asJSON {
			_ = encode.Encode(e) // nobody reads: the device lives on
			return
		}
		parts := []string{
			e.At.Format("15:04:05.000"), e.Device, string(e.Kind), e.Server, e.Version, e.Detail, e.Error,
		}
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
		_, _ = fmt.Fprintln(out, strings.Join(parts, "  "))
	}
}
