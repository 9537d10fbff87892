package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/devcheck"
	"steward/objects"
)

// errRulesBroken reports a device that breaks rules of the trust transfer.
var errRulesBroken = errors.New("rules are broken")

func newDeviceCheck() *cobra.Command {
	var o devcheck.Options
	var out, ports, ids string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "device-check", Short: "Run a device through every rule of the trust transfer", Args: noArgs,
		Long: `Checks a device of any make that implements the three objects of the trust transfer
(docs/porting.md). It makes two providers on this machine, a factory and an owner, and
writes a bundle: factory key and certificate, anchors, and the first provider's
addresses. Give the device what is in it, and start it. Everything else happens by
itself: the device is given messages with one defect each, is led to READY, aborted,
restarted, committed, refused, put off until its grace is over, taken in and sent
back, and at last handed over for good, by a provider that lies and loses answers.

Each try is told as it happens: pass, breach or skipped, with its rule, the section
that it is from, what was sent and what was seen. The exit status is 1 if a rule is
broken, or if the device does not go on.`,
		Example: `  steward device-check --out bundle &
  steward device --state state --retry 1s bundle/

  steward device-check --host 192.0.2.1 --ports 5684,5685 --patience 10m --json`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Ports, err = portsOf(ports); err != nil {
				return err
			}
			if o.IDs, err = idsOf(ids); err != nil {
				return err
			}
			return checkDevice(cmd, o, out, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Host, "host", "127.0.0.1", "`name` or address of this machine, as the device reaches it")
	f.StringVar(&ports, "ports", "0,0", "`UDP ports` of the first and the second provider; 0 is any")
	f.StringVar(&o.Endpoint, "endpoint", "device-check", "endpoint `name` of the device")
	f.StringVar(&ids, "objects", "42769,42770,42771", "`ids` of Truststore, Enrolment and Transfer on the device")
	f.StringVar(&out, "out", ".", "`directory` for the bundle")
	f.DurationVar(&o.Patience, "patience", 0, "how long to wait for each step of the device (default 2m)")
	f.DurationVar(&o.Grace, "grace", 0, "time from commit to fallback that the device is given (default 10s)")
	f.BoolVar(&o.NoClock, "no-clock", false, "the device does not know the time")
	f.BoolVar(&o.First, "first", false, "end at the first broken rule")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON at the end")
	return cmd
}

func portsOf(text string) (ports [2]uint16, err error) {
	numbers, err := numbersOf("ports", text, len(ports))
	if err == nil {
		ports = [2]uint16(numbers)
	}
	return ports, err
}

func idsOf(text string) (objects.IDs, error) {
	const three = 3
	numbers, err := numbersOf("objects", text, three)
	if err != nil {
		return objects.IDs{}, err
	}
	return objects.IDs{Truststore: numbers[0], Enrolment: numbers[1], Transfer: numbers[2]}, nil
}

// numbersOf reads n numbers joined by commas.
func numbersOf(flag, text string, n int) (numbers []uint16, err error) {
	for part := range strings.SplitSeq(text, ",") {
		number, err := strconv.ParseUint(strings.TrimSpace(part), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%w: --%s %q: %w", errMisused, flag, text, err)
		}
		numbers = append(numbers, uint16(number))
	}
	if len(numbers) != n {
		return nil, fmt.Errorf("%w: --%s %q: %d numbers joined by commas", errMisused, flag, text, n)
	}
	return numbers, nil
}

// checkDevice writes the bundle, waits for the device and checks it.
func checkDevice(cmd *cobra.Command, o devcheck.Options, out string, asJSON bool) error {
	if !asJSON {
		o.Told = func(f devcheck.Finding) { tellFinding(cmd, f) }
	}
	c, err := devcheck.New(o)
	if errors.Is(err, devcheck.ErrOptions) {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o700); err != nil { // the bundle has a key in it
		return err
	}
	file, err := c.Bundle().Write(out)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Start the device with %s; it is to register at %s.\n", file,
		c.Bundle().Provider.ServerURI)
	report, err := c.Run(cmd.Context())
	if asJSON {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		if err := e.Encode(report); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d broken, %d skipped\n", report.Passed, report.Breaches,
			report.Skipped)
	}
	if err == nil && report.Breaches > 0 {
		return fmt.Errorf("%w: %d of %d tries", errRulesBroken, report.Breaches, len(report.Findings))
	}
	return err
}

// tellFinding prints one try, and of a breach what was sent and seen.
func tellFinding(cmd *cobra.Command, f devcheck.Finding) {
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%-7s  %-11s  %-11s  %s\n", f.Verdict, f.Rule, f.Section, f.What)
	if f.Verdict == devcheck.Pass {
		return
	}
	_, _ = fmt.Fprintf(out, "%22ssent: %s\n%22sseen: %s\n", "", f.Sent, "", f.Seen)
}
