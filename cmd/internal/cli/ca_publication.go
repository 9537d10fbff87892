package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/web"
)

// caCRL prints the lists that are published.
func (o *operator) caCRL() *cobra.Command {
	const short = "Show the CRLs that are published: entries, size, next update"
	return o.publication("crl", short, func(p web.Publication) [][]string {
		rows := [][]string{{"ISSUER", "PATH", "NUMBER", "ENTRIES", "BYTES", "MADE", "NEXT UPDATE", "PENDING"}}
		for _, l := range p.Lists {
			rows = append(rows, []string{
				shortHash(l.Issuer), l.Path, l.Number, strconv.Itoa(l.Entries), strconv.Itoa(l.Bytes), instant(l.MadeAt),
				instant(l.NextUpdate), strconv.FormatBool(l.Pending),
			})
		}
		return rows
	})
}

// caOCSPStatus prints how the responder is.
func (o *operator) caOCSPStatus() *cobra.Command {
	return o.publication("ocsp-status", "Show how the OCSP responder is", func(p web.Publication) [][]string {
		r := p.Responder
		return [][]string{
			{"CERTIFICATE UNTIL", "KEPT", "NEXT END", "PRESIGNED", "SIGNED", "REFUSED", "URL"},
			{
				instant(r.Until), strconv.Itoa(r.Kept), instant(r.NextEnd), strconv.FormatUint(r.Presigned, 10),
				strconv.FormatUint(r.Signed, 10), strconv.FormatUint(r.Refused, 10), p.URL,
			},
		}
	})
}

func (o *operator) publication(use, short string, rows func(web.Publication) [][]string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var p web.Publication
			if err := api.Get(cmd.Context(), "/ca/publication", &p); err != nil {
				return err
			}
			return o.print(cmd, p, func() [][]string { return rows(p) })
		},
	}
}

// instant shows a time; "-" is none.
func instant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// shortHash shows the first bytes of a hash in hex, as URLs have them.
func shortHash(text string) string { return text[:min(len(text), 16)] }
