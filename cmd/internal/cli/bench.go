package cli

import (
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/bench"
)

// benchOptions are the flags of "bench".
type benchOptions struct {
	bench.Options

	server, kind, psk, cert, key string
	pid                          int
	json                         bool
}

// benchTexts say in a line what each workload measures.
var benchTexts = map[bench.Work]string{
	bench.Requests:   "Measure small requests over established associations",
	bench.Handshakes: "Measure full handshakes",
	bench.Register:   "Measure Registers, each durable before its answer",
	bench.Update:     "Measure Updates of registered devices, each once",
	bench.Observe:    "Measure notifications of observed resources",
	bench.Idle:       "Measure the memory of devices that say nothing",
	bench.Restart:    "Measure a restart under devices that talk",
	bench.Storm:      "Measure devices that talk beside a storm of handshakes",
	bench.Push:       "Measure an image of 1 MiB that goes to all devices at once",
}

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure a server, and the floor beneath it", Args: noArgs,
		Long: `Starts a server as a process of its own over a temporary data directory (or
takes one that runs: --server), loads it from 127.0.0.0/8, and reports rate,
latency, loss, the CPU time of the server's process an operation, its memory, and
in the same run the floor: raw UDP echo, or the bare cryptography of a handshake.

The result goes to stdout, as a table or with --json as one object; what happens
meanwhile goes to stderr. What was measured in one run can be compared, best by
its ratios; rates and latencies are those of the machine and of what else it did.`,
		Example: `  steward bench requests --devices 1000 --duration 5s
  steward bench idle --devices 200000 --json
  steward bench restart --devices 200000 --duration 10s --kill
  steward bench storm --storming 5000
  steward bench table --quick > figures.md`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, w := range bench.Works() {
		cmd.AddCommand(newWork(w))
	}
	cmd.AddCommand(newBenchTable(), newBenchCA(), newBenchPages(), newBenchServe(), newBenchEcho())
	return cmd
}

// benchLong explain the workloads.
var benchLong = map[bench.Work]string{
	bench.Requests: `Devices send small confirmable POSTs to a path that does not exist, over
associations by DTLS 1.2 with AES_128_CCM_8 and connection identifiers. That is
what a message costs: record, CoAP, and nothing behind it.`,
	bench.Handshakes: `Devices make full handshakes with certificates of both sides on P-256, one at a
time a socket, and confirm each by one CoAP ping.`,
	bench.Register: `Devices that are connected register, each once. The server answers 2.01 when
the registration is on the disk.`,
	bench.Update: `Devices that are registered update their registration, each once, with nothing
that changed.`,
	bench.Observe: `Registered devices send confirmable notifications of a resource that the server
observes; it stores each value.`,
	bench.Idle: `Devices connect and say nothing more. Resident memory is read before the first
and after the last, each time after two forced collections; the difference is
what a device costs. With --registered they register, and with --observations the
server observes so many resources of each.`,
	bench.Restart: `Up to 1000 devices talk and 100 at once register while the server ends, at a
random moment, and begins again over the same data. Then:
  registrations  each device updates its own: one that had its 2.01 and is not
                 known has been lost
  talking        a device without an answer after one retransmission counts, and
                 makes a new handshake
  replays        a record of each, answered before, is sent again: the server must
                 refuse it
  reads          the server reads from 2000 devices, talking and quiet ones
  capture        of all protected records of both directions: how many use a
                 sequence number or nonce that another has used under their key`,
	bench.Push: `The server pushes an envelope with an image of 1 MiB to registered devices, to all
at once, block by block of 1024 bytes. An operation is a block: compare it with a
request.`,
	bench.Storm: `Devices talk, first alone, then beside others that all make handshakes at once,
and, with --spoofed, beside ClientHellos of invented senders, at most 25,000 a
second. The generator has the lowest priority (nice 19).`,
}

func newWork(w bench.Work) *cobra.Command {
	o := benchOptions{Options: bench.Options{Work: w}}
	cmd := &cobra.Command{
		Use: string(w), Short: benchTexts[w], Long: benchLong[w], Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return measure(cmd, o) },
	}
	o.flags(cmd.Flags())
	return cmd
}

// newBenchTable is "make bench".
func newBenchTable() *cobra.Command {
	var o bench.SuiteOptions
	cmd := &cobra.Command{
		Use: "table", Short: "Measure everything in turn and print it as Markdown", Args: noArgs,
		Long: `Does every measurement of BENCHMARKS.md, one after the other, each by a process
of its own, and prints their figures as Markdown tables, beside the targets. It
takes some twenty minutes on two cores, with --quick and small numbers four.

The row of go-coap takes a server that is built from cmd/internal/bench/testdata/gocoap.`,
		Example: `  (cd cmd/internal/bench/testdata/gocoap && go build -o /tmp/gocoap .)
  steward bench table --gocoap /tmp/gocoap > figures.md`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			return bench.Suite(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&o.Quick, "quick", false, "small numbers, for a few minutes")
	cmd.Flags().StringVar(&o.GoCoAP, "gocoap", "", "`program` that serves by go-coap, to be measured beside")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "`directory` in which data directories are made, and removed")
	return cmd
}

func (o *benchOptions) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	f.IntVar(&o.Devices, "devices", 0, "how many devices (default 1000)")
	f.IntVar(&o.Sockets, "sockets", 0, "sockets of the generator (default 16)")
	f.StringVar(&o.server, "server", "", "coaps `URI` on 127.0.0.0/8 of a server that runs already")
	f.StringVar(&o.kind, "target", "", "of --server: what it is, steward or leshan, of which nothing is used but the "+
		"paths of LwM2M (default leshan)")
	f.StringVar(&o.psk, "psk", "", "of --server: pre-shared key in `hex`, its identity being the endpoint name")
	f.StringVar(&o.cert, "cert", "", "of --server: PEM `file` with the client's chain, for all")
	f.StringVar(&o.key, "key", "", "of --server: PEM `file` with its key")
	f.IntVar(&o.pid, "pid", 0, "of --server: its process, for its CPU time and memory")
	f.StringVar(&o.Dir, "dir", "", "`directory` in which the data directory is made, and removed")
	if o.Work != bench.Idle {
		f.IntVar(&o.InFlight, "in-flight", 0, "operations under way at once (default 100)")
		f.DurationVar(&o.Duration, "duration", 0, "of what is measured (default 5s); register and update do each device once")
	}
	if o.Work != bench.Restart {
		f.StringVar(&o.Profile, "profile", "", "write the server's profile to a `file`: CPU time, or idle devices' memory")
	}
	switch o.Work {
	case bench.Idle:
		f.BoolVar(&o.Registered, "registered", false, "devices register")
		f.IntVar(&o.Observations, "observations", 0, "of each registered device, up to 3")
	case bench.Observe:
		f.IntVar(&o.Observations, "observations", 0, "of each device, up to 3 (default 1)")
	case bench.Restart:
		f.BoolVar(&o.Kill, "kill", false, "end the server by SIGKILL, not in order")
	case bench.Storm:
		f.IntVar(&o.Storming, "storming", 0, "handshakes that break in (default 1000)")
		f.IntVar(&o.Spoofed, "spoofed", 0, "ClientHellos of invented senders")
	default:
	}
}

func measure(cmd *cobra.Command, o benchOptions) error {
	target, err := o.target()
	if err != nil {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	o.Target, o.Progress = target, cmd.ErrOrStderr()
	result, err := bench.Run(cmd.Context(), o.Options)
	if errors.Is(err, bench.ErrOptions) {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
	}
	return result.WriteTable(cmd.OutOrStdout())
}

// target is the server that runs already; nil: none.
func (o *benchOptions) target() (*bench.Target, error) {
	if o.server == "" {
		if o.psk != "" || o.cert != "" || o.key != "" || o.pid != 0 || o.kind != "" {
			return nil, fmt.Errorf("%w: --target, --psk, --cert, --key and --pid belong to --server", bench.ErrOptions)
		}
		return nil, nil //nolint:nilnil // nil is what Options mean by none
	}
	t := &bench.Target{URI: o.server, PID: o.pid}
	switch o.kind {
	case "", "leshan":
		t.AnyAnswer = true // what it says to a path that it does not know is its own choice
	case "steward":
	default:
		return nil, fmt.Errorf("%w: target %.20q, want steward or leshan", bench.ErrOptions, o.kind)
	}
	var err error
	if t.PSK, err = hex.DecodeString(o.psk); err != nil {
		return nil, fmt.Errorf("--psk: %w", err)
	}
	if o.cert == "" && o.key == "" {
		return t, nil
	}
	c, err := tls.LoadX509KeyPair(o.cert, o.key)
	t.Certificate = &c
	return t, err
}

// newBenchServe is the process of the server that is measured.
func newBenchServe() *cobra.Command {
	var o bench.ServeOptions
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server that is measured", Args: noArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Log, err = newLog(cmd.ErrOrStderr(), "warn", false); err != nil {
				return err
			}
			return bench.Serve(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.Data, "data", "", "`directory` of everything that lasts")
	cmd.Flags().StringVar(&o.Addr, "coaps", "127.0.0.1:0", "address for devices")
	cmd.Flags().BoolVar(&o.Stamps, "stamps", false, "measure latencies from the kernel's stamps")
	return cmd
}

// newBenchEcho is the process of the floor.
func newBenchEcho() *cobra.Command {
	return &cobra.Command{
		Use: "echo", Short: "Run the floor", Args: noArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.Echo(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
