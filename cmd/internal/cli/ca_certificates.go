package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steward/web"
)

// caCertificates lists the inventory.
func (o *operator) caCertificates() *cobra.Command {
	var state, text, device, kind, profile, key, issuer string
	var within int
	cmd := &cobra.Command{
		Use: "certificates", Aliases: []string{"list"}, Short: "List the certificates that were issued, the newest first",
		Args: noArgs,
		Example: "  steward ca certificates --state live --text sensor-\n" +
			"  steward ca certificates --within 30 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for name, value := range map[string]string{
				"state": state, "q": text, "device": device, "kind": kind, "profile": profile, "key": key, "issuer": issuer,
			} {
				if value != "" {
					q.Set(name, value)
				}
			}
			if within > 0 {
				q.Set("within", strconv.Itoa(within))
			}
			head := []string{"ID", "SUBJECT", "FOR", "SERIAL", "STATE", "UNTIL", "REASON"}
			return list(cmd, o, "/ca/certificates?"+q.Encode(), head, func(c web.Certificate) []string {
				return []string{c.ID, c.Subject, c.Kind, c.Serial, string(c.State), moment(c.NotAfter), c.Reason}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "live, expired or revoked")
	f.StringVar(&text, "text", "", "part of the subject or the serial number")
	f.StringVar(&kind, "kind", "", "what they are for: operational, server, …")
	f.StringVar(&profile, "profile", "", "by which they were issued")
	f.StringVar(&key, "key", "", "SHA-256 of the public key in `hex`")
	f.StringVar(&issuer, "issuer", "", "`id` of the issuer's certificate")
	f.IntVar(&within, "within", 0, "only live ones that end within so many `days`, the first to end first")
	f.StringVar(&device, "device", "", "`id` of a device, or ep: and its endpoint")
	return cmd
}

// caShow prints one certificate.
func (o *operator) caShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a certificate with its PEM", Args: one("certificate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var c web.CertificateDetail
			if err := api.Get(cmd.Context(), "/ca/certificates/"+url.PathEscape(args[0]), &c); err != nil {
				return err
			}
			if err := o.print(cmd, c, func() [][]string { return certificateRows(c) }); err != nil || o.asJSON {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), c.PEM)
			return err
		},
	}
}

func certificateRows(c web.CertificateDetail) [][]string {
	return [][]string{
		{"Certificate", c.ID},
		{"Subject", c.Subject},
		{"Issuer", c.Issuer},
		{"For", c.Kind},
		{"Serial", c.Serial},
		{"Key", c.Key + " " + c.SPKI},
		{"Usage", strings.Join(c.KeyUsage, " ")},
		{"Names", strings.Join(c.Names, " ")},
		{"Size", fmt.Sprintf("DER %d bytes, C509 %d bytes", c.DERBytes, c.C509Bytes)},
		{"State", string(c.State) + " " + c.Reason},
		{"Valid", c.NotBefore.UTC().Format(time.DateTime) + " to " + moment(c.NotAfter)},
	}
}

// caRevoke revokes one.
func (o *operator) caRevoke() *cobra.Command {
	var r web.Revocation
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a certificate for ever", Args: one("certificate"),
		Long: `Revokes a certificate. Connections that use it end at once, and nothing makes it
valid again. A device that lost its only one enrols anew if its right allows it.`,
		Example: `  steward ca revoke 3f… --reason keyCompromise --comment "found on a scrap yard"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var c web.Certificate
			path := "/ca/certificates/" + url.PathEscape(args[0]) + "/revoke"
			if err := api.Post(cmd.Context(), path, r, &c); err != nil {
				return err
			}
			return o.print(cmd, c, func() [][]string {
				return [][]string{{"Revoked", c.Subject}, {"Serial", c.Serial}, {"Reason", c.Reason}}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Reason, "reason", web.ReasonCessation, "one of "+strings.Join(web.RevocationReasons(), ", "))
	f.StringVar(&r.Why, "comment", "", "why, for the audit")
	return cmd
}
