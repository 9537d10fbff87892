package cli

import (
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/lwm2m/audit"
)

func newAudit() *cobra.Command {
	o := &operator{}
	cmd := o.command("audit", "The audit log: follow it, export it, verify its chain",
		`Every change and every refusal is a row; each has the hash of the row before, so that
one that is altered, taken out or put elsewhere is found. Rows taken off the end leave
no trace: keep the hash of the last row elsewhere.`)
	cmd.AddCommand(o.auditExport(), o.auditFollow(), auditVerify(o))
	return cmd
}

func (o *operator) auditExport() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use: "export", Short: "Write all rows with their hashes", Args: noArgs,
		Example: "  steward audit export --out audit.ndjson\n  steward audit export --format csv > audit.csv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			to := cmd.OutOrStdout()
			if out != "" {
				f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return misusedFile(err)
				}
				if err := api.Download(cmd.Context(), http.MethodGet, "/audit/export?format="+format, f); err != nil {
					_ = f.Close()
					return err
				}
				return f.Close()
			}
			return api.Download(cmd.Context(), http.MethodGet, "/audit/export?format="+format, to)
		},
	}
	cmd.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write, which must not exist (default stdout)")
	return cmd
}

// errChain makes the exit status that of a failure.
var errChain = fmt.Errorf("%w: see above", audit.ErrChain)

func auditVerify(o *operator) *cobra.Command {
	var data, head string
	cmd := &cobra.Command{
		Use: "verify [FILE]...", Short: "Verify exports, or the database of a provider, without the provider",
		Long: `Looks at each row of exports (NDJSON or CSV; "-" is stdin) and of the database in --data,
whose provider may run, and names each row that was altered, is missing or stands
elsewhere. Several are one chain in the order given, the database last: with --keep-audit
older rows are in the files of DATA/audit, and go before the rest. Without files the
database begins where its archives end. --head has the hash of a row that you kept: it
must be there still. Exit status 1 says that something is wrong.`,
		Example: `  steward audit verify audit.ndjson
  steward audit verify --data /var/lib/steward --head 8d1f…
  steward audit verify /var/lib/steward/audit/*.ndjson --data /var/lib/steward`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && data == "" {
				return fmt.Errorf("%w: name an export or --data", errMisused)
			}
			v := verifier{head: head}
			for _, name := range args {
				if err := v.file(cmd, name); err != nil {
					return err
				}
			}
			if data != "" {
				if err := app.CheckAudit(cmd.Context(), data, &v.checker, v.see); err != nil {
					return err
				}
			}
			return v.report(cmd, o, v.checker.Report())
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "`directory` of a provider")
	cmd.Flags().StringVar(&head, "head", "", "`hash` of a row that must be there, hexadecimal")
	return cmd
}

// A verifier looks for a row that somebody remembers.
type verifier struct {
	head    string
	found   bool
	checker audit.Checker
}

func (v *verifier) see(r audit.Record) { v.found = v.found || fmt.Sprintf("%x", r.Hash) == v.head }

func (v *verifier) file(cmd *cobra.Command, name string) error {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return misusedFile(err)
		}
		defer func() { _ = f.Close() }() // it was read
		in = f
	}
	return audit.Read(in, func(r audit.Record) {
		v.checker.Add(r)
		v.see(r)
	})
}

func (v *verifier) report(cmd *cobra.Command, o *operator, r audit.Report) error {
	err := o.print(cmd, r, func() [][]string {
		rows := [][]string{
			{"archived", strconv.FormatInt(r.Before, 10)},
			{"rows", strconv.FormatInt(r.Rows, 10)},
			{"first", strconv.FormatInt(r.First, 10)},
			{"last", strconv.FormatInt(r.Last, 10)},
			{"head", r.Head},
		}
		for _, f := range r.Faults {
			rows = append(rows, []string{string(f.Kind), "row " + strconv.FormatInt(f.ID, 10) + ": " + f.Detail})
		}
		if r.More > 0 {
			rows = append(rows, []string{"more", strconv.FormatInt(r.More, 10)})
		}
		return rows
	})
	switch {
	case err != nil:
		return err
	case !r.Good():
		return errChain
	case v.head != "" && !v.found:
		return fmt.Errorf("%w: no row has the hash %.80q", audit.ErrChain, v.head)
	default:
		return nil
	}
}
