package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/remote"
	"steward/web"
)

// givenMandate is the body that gives a draft its mandate.
type givenMandate struct {
	Mandate []byte `json:"mandate"`
}

func (o *operator) transferMandate() *cobra.Command {
	var request, give, out string
	cmd := &cobra.Command{
		Use: "mandate [flags] ID", Short: "Ask for the mandate of a draft, give it one, or say what it allows",
		Args: one("transfer"),
		Long: `Says in words what the mandate of a transfer allows, at either provider.

--request writes the request file of a draft, for the service user, who signs it by
"steward mandate sign" on a machine of its own; --give gives the draft what comes back,
after it was verified. --out writes the mandate as signed.`,
		Example: "  steward transfer mandate 3f… --request mandate-request.json\n" +
			"  steward transfer mandate 3f… --give fleet.mandate",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			at := transferURL(args[0]) + "/mandate"
			if request != "" {
				text, err := api.Fetch(cmd.Context(), at+"-request")
				if err != nil {
					return err
				}
				return keys.WriteFile(request, text)
			}
			if err := sendMandate(cmd, api, at, give); err != nil {
				return err
			}
			var m web.MandateDetail
			if err := api.Get(cmd.Context(), at, &m); err != nil {
				return err
			}
			if out != "" {
				return keys.WriteFile(out, m.COSE)
			}
			return o.print(cmd, m, func() [][]string { return mandateTable(m) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&request, "request", "", "write the request to a `file`")
	f.StringVar(&give, "give", "", "`file` with the mandate that the service user has signed")
	f.StringVar(&out, "out", "", "write the mandate to a `file`")
	return cmd
}

// sendMandate gives a draft the mandate of a file, "" for none.
func sendMandate(cmd *cobra.Command, api *remote.API, at, file string) error {
	if file == "" {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return misusedFile(err)
	}
	return api.Post(cmd.Context(), at, givenMandate{raw}, nil)
}

func mandateTable(m web.MandateDetail) [][]string {
	rows := [][]string{}
	for _, sentence := range m.Words {
		rows = append(rows, []string{sentence})
	}
	if m.Self {
		rows = append(rows, []string{fmt.Sprintf("%s signed it itself; no service user did.", m.Issuer)})
	}
	return append(rows, []string{"hash " + m.Hash})
}
