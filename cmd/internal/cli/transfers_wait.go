package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/transfer"
	"steward/web"
)

func (o *operator) transferWait() *cobra.Command {
	var most time.Duration
	var state string
	cmd := &cobra.Command{
		Use: "wait [flags] ID", Short: "Wait until a transfer is over, or in a state", Args: one("transfer"),
		Long: `Waits until the transfer is over, or PARTIAL with an end for each device, or in the
--state; a bar shows on a terminal how far it is. The exit status is 0 if it is COMPLETE
without failed devices, in that state, or a rehearsal in which all were READY, else 1.`,
		Example: "  steward transfer wait 3f… --timeout 2h",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			t, err := awaitTransfer(cmd, api, args[0], state, most)
			if err != nil {
				return err
			}
			if err := o.printTransfer(cmd, api, t.ID); err != nil {
				return err
			}
			if state == "" && !arrived(t) || state != "" && t.State != state {
				return fmt.Errorf("%w: it is %s, %d of %d devices failed", errIncomplete, t.State, t.Failed, t.Total)
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&most, "timeout", 24*time.Hour, "wait no longer") //nolint:mnd // a day
	cmd.Flags().StringVar(&state, "state", "", "as \"show\" has it")
	return cmd
}

// arrived reports whether a transfer did all that it was drafted for.
func arrived(t web.Transfer) bool {
	if r := t.Rehearsal; r != nil {
		return r.Over && r.Ready == t.Total
	}
	return t.State == string(transfer.BatchComplete) && t.Failed == 0
}

// allEnded reports whether no device of a partial transfer goes on by itself. Such a
// transfer stays open for those that come back, and a wait would have no end.
func allEnded(t web.Transfer) bool {
	return t.State == string(transfer.BatchPartial) && t.Counts[string(transfer.RowOrphanRisk)] == 0 &&
		t.Done+t.Failed == t.Total
}

func awaitTransfer(cmd *cobra.Command, api *remote.API, id, state string, most time.Duration) (web.Transfer, error) {
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.end()
	for end := time.Now().Add(most); ; {
		var t web.Transfer
		var raw json.RawMessage
		if err := api.Get(cmd.Context(), transferURL(id), &raw); err != nil {
			return t, err
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return t, err
		}
		if t.Ended || t.State == state || state == "" && allEnded(t) || time.Now().After(end) {
			return t, nil
		}
		bar.show(t.Done+t.Failed, t.Total, t.State)
		if !pause(cmd.Context(), pollEvery) {
			return t, cmd.Context().Err()
		}
	}
}
