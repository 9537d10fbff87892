package cli

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/remote"
	"steward/lwm2m/sheet"
)

// An operator is who commands a running provider from the command line, by its
// REST API.
type operator struct {
	url, token string
	asJSON     bool
	asCSV      bool
}

// command returns the root of a group of such commands.
func (o *operator) command(use, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		Long: long + `

The provider is the one at --url; --token-file has the token of somebody who may.
For a provider with TLS, SSL_CERT_FILE names the certificate of its CA.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	o.flags(cmd)
	return cmd
}

// flags adds to cmd, and to what is below it, those that say which provider.
func (o *operator) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&o.url, "url", "http://127.0.0.1:8080", "`address` of the provider's dashboard and REST API")
	f.StringVar(&o.token, "token-file", filepath.Join("steward-data", "admin.token"), "`file` with a token")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.BoolVar(&o.asCSV, "csv", false, "print tables as CSV")
}

// api returns the client of the provider.
func (o *operator) api() (*remote.API, error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: --url %q", errMisused, o.url)
	}
	text, err := keys.ReadSecret(o.token)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: --token-file %s is not there: \"steward serve\" writes admin.token into its data "+
			"directory, and the page Account makes tokens", errMisused, o.token)
	}
	if err != nil {
		return nil, misusedFile(err)
	}
	return remote.NewAPI(o.url, strings.TrimSpace(string(text))), nil
}

// print writes v as JSON, or the rows of a table for people; the first row is its
// head.
func (o *operator) print(cmd *cobra.Command, v any, rows func() [][]string) error {
	if o.asJSON {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	if o.asCSV {
		return writeCSV(cmd.OutOrStdout(), rows())
	}
	return table(cmd.OutOrStdout(), rows())
}

// writeCSV writes rows as CSV (RFC 4180). What a spreadsheet would take for a formula
// has an apostrophe before it.
func writeCSV(to io.Writer, rows [][]string) error {
	w := csv.NewWriter(to)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "-" { // which stands for nothing
				row[i] = sheet.Harmless(cell)
			}
		}
	}
	return w.WriteAll(rows)
}

// table writes rows under each other. What a terminal could take for more than text
// is replaced.
func table(to io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0) //nolint:mnd // two blanks between columns
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Map(func(r rune) rune {
				if !unicode.IsPrint(r) {
					return unicode.ReplacementChar
				}
				return r
			}, cell)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// moment shows a time to people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// readDocument reads a file, or stdin for "-".
func readDocument(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, misusedFile(err)
	}
	return text, nil
}
