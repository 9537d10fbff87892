package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

// errNotAffirmed reports that a device was asked and is not as it should be.
var errNotAffirmed = errors.New("not every device is affirmed")

func newAttest() *cobra.Command {
	o := &operator{}
	cmd := o.command("attest", "Attestation: have devices prove what they run, list verdicts, set how often",
		`A device answers a nonce with evidence (RFC 9711), signed by its attestation key; the
verdict is an attestation result (EAR) with its reasons. DEVICE is an id or an endpoint
name. The exit status of "ask" is 1 unless every device is affirmed.`)
	cmd.Example = `  steward attest ask lamp-7 lamp-8
  steward attest list --state bad
  steward attest every 24h`
	cmd.AddCommand(o.attestAsk(), o.attestShow(), o.attestList(), o.attestKey(), o.attestRules(), o.attestEvery())
	return cmd
}

// A proof is what came of asking one device.
type proof struct {
	Device  string       `json:"device"` // as it was named
	Verdict *web.Verdict `json:"verdict,omitempty"`
	Error   string       `json:"error,omitempty"`
}

func (o *operator) attestAsk() *cobra.Command {
	return &cobra.Command{
		Use: "ask DEVICE...", Short: "Have devices prove now what they run",
		Long: `Asks one device after the other and prints the verdicts. For all devices of a filter or
a group there is the bulk action "attest".`,
		Example: "  steward attest ask lamp-7 --json", Args: someArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var all []proof
			affirmed := true
			for _, name := range args {
				proved := prove(cmd, api, name)
				affirmed = affirmed && proved.Verdict != nil && proved.Verdict.Level == web.LevelGood
				all = append(all, proved)
			}
			if err := o.print(cmd, all, func() [][]string { return proofRows(all) }); err != nil {
				return err
			}
			if !affirmed {
				return errNotAffirmed
			}
			return nil
		},
	}
}

// someArgs wants one argument or more.
func someArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no arguments; want %s", errMisused, cmd.Use)
	}
	return nil
}

func prove(cmd *cobra.Command, api *remote.API, name string) proof {
	out := proof{Device: name}
	at, err := deviceURL(cmd.Context(), api, name)
	var a web.Attestation
	if err == nil {
		err = api.Send(cmd.Context(), http.MethodPost, at+"/attestation", nil, &a)
	}
	switch {
	case err != nil:
		out.Error = err.Error()
	case len(a.Verdicts) > 0:
		out.Verdict = &a.Verdicts[0]
	default:
		out.Error = "there is no verdict"
	}
	return out
}

func proofRows(all []proof) [][]string {
	rows := [][]string{{"DEVICE", "VERDICT", "WHY"}}
	for _, a := range all {
		if a.Verdict == nil {
			rows = append(rows, []string{a.Device, "-", a.Error})
			continue
		}
		rows = append(rows, []string{a.Device, a.Verdict.Tier, a.Verdict.Reason})
	}
	return rows
}

// onAttestation returns a command about the attestation of one device, that shows what
// is known of it afterwards.
func (o *operator) onAttestation(use, short, example string,
	run func(cmd *cobra.Command, api *remote.API, at string) (web.Attestation, error),
) *cobra.Command {
	cmd := o.onDevice(use, short, "", 0, 0, func(cmd *cobra.Command, api *remote.API, at string, _ []string) error {
		a, err := run(cmd, api, at+"/attestation")
		if err != nil {
			return err
		}
		return o.print(cmd, a, func() [][]string { return attestationRows(a) })
	})
	cmd.Example = "  steward attest " + example
	return cmd
}

func (o *operator) attestShow() *cobra.Command {
	return o.onAttestation("show DEVICE", "Show key, reference values in force and verdicts of a device", "show lamp-7",
		func(cmd *cobra.Command, api *remote.API, at string) (a web.Attestation, err error) {
			return a, api.Get(cmd.Context(), at, &a)
		})
}

func attestationRows(a web.Attestation) [][]string {
	if a.Key == "" {
		return [][]string{{"key", "not known: the device cannot prove what it runs"}}
	}
	rows := [][]string{
		{"key", shortHash(a.Key), "known since " + moment(a.KnownAt)}, {"boots", fmt.Sprint(a.BootCount)},
	}
	for _, r := range a.References {
		component := "any component"
		if r.Component != "" {
			component = "component " + r.Component
		}
		rows = append(rows, []string{"may hold", shortHash(r.SHA256), component})
	}
	if r := a.Round; r != nil {
		next := "next " + moment(r.NextAt)
		if r.Waiting {
			next = "as soon as it listens"
		}
		rows = append(rows, []string{"proof", r.State, interval(r.Seconds), next, r.Failure})
	}
	for _, v := range a.Verdicts {
		rows = append(rows, []string{"verdict", v.Tier, moment(v.At), v.Reason})
	}
	return rows
}

// interval says how often devices are asked.
func interval(seconds int) string {
	if seconds == 0 {
		return "never"
	}
	return "every " + (time.Duration(seconds) * time.Second).String()
}

func (o *operator) attestKey() *cobra.Command {
	var key string
	var digests []string
	cmd := o.onAttestation("key DEVICE", "Make the attestation key of a device known, with what it may hold",
		"key lamp-7 --key lamp-7.pub --reference 5f2b…",
		func(cmd *cobra.Command, api *remote.API, at string) (a web.Attestation, err error) {
			if key == "" || len(digests) == 0 {
				return a, fmt.Errorf("%w: --key and --reference say what the device has", errMisused)
			}
			in := web.NewAttestation{}
			if in.Key, err = os.ReadFile(key); err != nil {
				return a, misusedFile(err)
			}
			for _, d := range digests {
				in.References = append(in.References, referenceOf(d))
			}
			body, err := json.Marshal(in)
			if err != nil {
				return a, err
			}
			return a, api.Send(cmd.Context(), http.MethodPut, at, body, &a)
		})
	cmd.Long = `Stores the public key by which the device signs evidence, in place of the one before, and
the digests of what the factory put into it. Releases that are installed later count by
themselves.`
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`file` with the public key on P-256, PEM or DER")
	f.StringArrayVar(&digests, "reference", nil,
		"`SHA-256` that a component may have, as COMPONENT:SHA256 of that one only, both in hex; repeat for more")
	return cmd
}

// referenceOf reads COMPONENT:SHA256 or SHA256; the server checks both.
func referenceOf(text string) web.AttestationReference {
	for i := range text {
		if text[i] == ':' {
			return web.AttestationReference{Component: text[:i], SHA256: text[i+1:]}
		}
	}
	return web.AttestationReference{SHA256: text}
}

func (o *operator) attestList() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List how devices stand with their proofs",
		Example: "  steward attest list --state bad --json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"page_size": {fmt.Sprint(web.MaxPageSize)}}
			if state != "" {
				q.Set("state", state)
			}
			return list(cmd, o, "/attestations?"+q.Encode(),
				[]string{"ENDPOINT", "STATE", "VERDICT", "AT", "NEXT", "WHY"},
				func(r web.AttestationRound) []string {
					why, next := r.Reason, moment(r.NextAt)
					if r.Failure != "" {
						why = r.Failure
					}
					if r.Waiting {
						next = "when it listens"
					}
					return []string{r.Endpoint, r.State, r.Tier, moment(r.JudgedAt), next, why}
				})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those that are `unproved|good|bad|mute`")
	return cmd
}

func (o *operator) attestRules() *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "List how often devices prove what they run, by their tags",
		Example: "  steward attest rules --json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/attestation-rules", []string{"TAG", "HOW OFTEN"},
				func(r web.AttestationRule) []string { return []string{r.Tag, interval(r.Seconds)} })
		},
	}
}

func (o *operator) attestEvery() *cobra.Command {
	tag := web.OtherTags
	cmd := &cobra.Command{
		Use: "every INTERVAL|never|default", Short: "Set how often devices with a tag prove what they run",
		Long: `Each device is asked at its own moment of the interval, from 10m to a year; one that
sleeps when it wakes up. Of the rules for the tags of a device the shortest counts, and
"never" before all; "default" removes the rule.`,
		Example: `  steward attest every 24h
  steward attest every 1h --tag gateway
  steward attest every default --tag gateway`,
		Args: one("interval"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			path := "/attestation-rules/" + url.PathEscape(tag)
			if args[0] == "default" {
				return api.Send(cmd.Context(), http.MethodDelete, path, nil, nil)
			}
			var every time.Duration
			if args[0] != "never" {
				if every, err = time.ParseDuration(args[0]); err != nil || every%time.Second != 0 || every == 0 {
					return fmt.Errorf("%w: %q is no interval such as 24h", errMisused, args[0])
				}
			}
			var out web.AttestationRule
			body := fmt.Appendf(nil, `{"every_seconds": %d}`, int(every/time.Second))
			if err := api.Send(cmd.Context(), http.MethodPut, path, body, &out); err != nil {
				return err
			}
			return o.print(cmd, out, func() [][]string { return [][]string{{out.Tag, interval(out.Seconds)}} })
		},
	}
	cmd.Flags().StringVar(&tag, "tag", web.OtherTags, "`tag` of the devices; * for all that no other rule is for")
	return cmd
}
