package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/suit"
)

func newSUIT() *cobra.Command {
	cmd := &cobra.Command{
		Use: "suit", Short: "Make, sign, check and try out SUIT manifests", Args: noArgs,
		Long: `Works on signed updates (draft-ietf-suit-manifest-37) without a server: a plan
becomes an envelope, keys sign it, and a simulated device tries it out.

An argument or --out of "-" is stdin or stdout. The exit status is 1 if an
envelope is refused, 2 for what cannot be meant, such as a file that is not there.`,
		Example: `  steward suit keygen --out author.pem > author.pub.pem
  steward suit create --out update.suit plan.json
  steward suit sign --key author.pem --out signed.suit update.suit
  steward suit run --key author.pub.pem --payload coap://host/fw=fw.bin signed.suit`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newSUITKeygen(), newSUITCreate(), newSUITSign(), newSUITVerify(), newSUITInspect(), newSUITSever(),
		newSUITEncrypt(), newSUITRun(),
	)
	return cmd
}

// one demands one argument, which is called what.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%w: %d arguments, want one %s", errMisused, len(args), what)
		}
		return nil
	}
}

// misusedFile reports a file named on the command line that cannot be used.
func misusedFile(err error) error { return fmt.Errorf("%w: %w", errMisused, err) }

// readInput reads the file that an argument names; "-" is stdin.
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), suit.MaxEnvelope+1))
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, misusedFile(err)
	}
	return raw, nil
}

// outFlag adds the flag that writeOutput takes.
func outFlag(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVar(out, "out", "-", "`file` for the result")
}

// writeOutput writes a result as a whole or not at all; "-" is stdout.
func writeOutput(cmd *cobra.Command, name string, raw []byte) error {
	if name == "-" {
		_, err := cmd.OutOrStdout().Write(raw)
		return err
	}
	return keys.WriteFile(name, raw)
}

// decodeInput reads an envelope.
func decodeInput(cmd *cobra.Command, name string) (raw []byte, e *suit.Envelope, err error) {
	if raw, err = readInput(cmd, name); err != nil {
		return nil, nil, err
	}
	if e, err = suit.Decode(raw, suit.Limits{}); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return raw, e, nil
}

// allDigests returns the digest algorithms that are accepted: what a device takes
// is its own choice.
func allDigests() []suit.DigestAlgorithm {
	return []suit.DigestAlgorithm{suit.SHA256, suit.SHA384, suit.SHA512, suit.SHAKE128, suit.SHAKE256}
}
