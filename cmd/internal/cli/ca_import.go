package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"steward/cmd/internal/batch"
	"steward/cmd/internal/remote"
	"steward/web"
)

// caImport registers factory certificates at a provider.
func (o *operator) caImport() *cobra.Command {
	var format, origin string
	var tags []string
	var known bool
	cmd := &cobra.Command{
		Use: "import FILE...", Short: "Register the factory certificates of a list at the provider",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%w: which file?", errMisused)
			}
			return nil
		},
		Long: `Lets devices enrol at the provider, each once, with the factory certificates of the
lists: .csv (columns certificate, endpoint, key_origin, tags), .pem, .x5bag (COSE, RFC
9360) or .c5b (C509). Each is answered with the URI at which its device enrols. The
CAs above them are to be listed before: those of factories, or of manufacturers whose
devices have IDevIDs (IEEE 802.1AR). A line that is refused does not keep the others
out.`,
		Example: "  steward ca import line-7.csv\n" +
			"  steward ca import line-7.x5bag --key-origin ca --tag batch:7 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []web.NewDevice
			for _, path := range args {
				list, err := readList(path, batch.Format(format))
				if err != nil {
					return err
				}
				for _, e := range list {
					d := web.NewDevice{
						Certificate: e.Certificate, Endpoint: e.Endpoint, KeyOrigin: string(e.KeyOrigin),
						Tags: slices.Concat(e.Tags, tags), NoRight: known,
					}
					if d.KeyOrigin == "" {
						d.KeyOrigin = origin
					}
					all = append(all, d)
				}
			}
			return o.importAll(cmd, all)
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "", "csv, pem, x5bag or c5b (default as the name of the file ends)")
	f.StringVar(&origin, "key-origin", "", "who made the keys, where the list does not tell: device, provider or ca")
	f.StringArrayVar(&tags, "tag", nil, "for all of them; repeatable")
	f.BoolVar(&known, "known-only", false, "give no right to enrol: a transfer will")
	return cmd
}

// caTrust lists the CA of a factory.
func (o *operator) caTrust() *cobra.Command {
	return &cobra.Command{
		Use: "trust-factory FILE", Short: "List the CA of a factory or manufacturer, whose device certificates count here",
		Args: one("certificate file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readDocument(cmd, args[0])
			if err != nil {
				return err
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			var f web.FactoryAuthority
			in := map[string][]byte{"certificate": text}
			if err := api.Post(cmd.Context(), "/factory-authorities", in, &f); err != nil {
				return err
			}
			return o.print(cmd, f, func() [][]string {
				return [][]string{{"Listed", f.Subject}, {"Certificate", f.ID}, {"Until", moment(f.NotAfter)}}
			})
		},
	}
}

func readList(path string, format batch.Format) ([]batch.Entry, error) {
	if format == "" {
		var err error
		if format, err = batch.FormatOf(path); err != nil {
			return nil, fmt.Errorf("%w: %w", errMisused, err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, misusedFile(err)
	}
	list, err := batch.Read(raw, format)
	if errors.Is(err, batch.ErrList) {
		return nil, fmt.Errorf("%w: %s: %w", errMisused, path, err)
	}
	return list, err
}

// importPart is how many devices go in one request: their certificates stay below
// what the server takes.
const importPart = 500

// importAll sends the list in parts, and prints what became of each.
func (o *operator) importAll(cmd *cobra.Command, all []web.NewDevice) error {
	api, err := o.api()
	if err != nil {
		return err
	}
	out := []web.ImportedDevice{}
	for part := range slices.Chunk(all, importPart) {
		some, err := importSome(cmd, api, part)
		if err != nil {
			return errors.Join(err, o.printImported(cmd, out))
		}
		out = append(out, some...)
		if len(all) > importPart && !o.asJSON {
			if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d\n", len(out), len(all)); err != nil {
				return err
			}
		}
	}
	if err := o.printImported(cmd, out); err != nil {
		return err
	}
	refused := 0
	for _, d := range out {
		if d.Error != "" {
			refused++
		}
	}
	if refused > 0 {
		return fmt.Errorf("%w: %d of %d", errRefusedSome, refused, len(out))
	}
	return nil
}

func importSome(cmd *cobra.Command, api *remote.API, part []web.NewDevice) ([]web.ImportedDevice, error) {
	var answer struct {
		Items []web.ImportedDevice `json:"items"`
	}
	in := map[string][]web.NewDevice{"items": part}
	err := api.Post(cmd.Context(), "/ca/factory-certificates", in, &answer)
	return answer.Items, err
}

func (o *operator) printImported(cmd *cobra.Command, list []web.ImportedDevice) error {
	return o.print(cmd, list, func() [][]string {
		rows := [][]string{{"NO", "ENDPOINT", "ID", "ENROLS AT", "REFUSED BECAUSE"}}
		for i, d := range list {
			rows = append(rows, []string{strconv.Itoa(i + 1), d.Endpoint, d.ID, d.EnrollURI, d.Error})
		}
		return rows
	})
}
