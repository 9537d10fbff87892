package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"steward/web"
)

// caInventory prints the counts.
func (o *operator) caInventory() *cobra.Command {
	return &cobra.Command{
		Use: "inventory", Short: "Count what was issued, what ends when, and what needs somebody", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var i web.Inventory
			if err := api.Get(cmd.Context(), "/ca/inventory", &i); err != nil {
				return err
			}
			return o.print(cmd, i, func() [][]string { return inventoryRows(i) })
		},
	}
}

func inventoryRows(i web.Inventory) [][]string {
	rows := [][]string{{"FOR", "PROFILE", "LIVE", "EXPIRED", "REVOKED", "LAST DAY", "LAST 30 DAYS"}}
	for _, k := range i.Kinds {
		rows = append(rows, []string{
			k.Kind, k.Profile, strconv.Itoa(k.Live), strconv.Itoa(k.Expired()), strconv.Itoa(k.Revoked),
			strconv.Itoa(k.Daily), strconv.Itoa(k.Monthly),
		})
	}
	rows = append(rows, []string{}, []string{
		"End within 7 days: " + strconv.Itoa(i.Ending7) + ", 30 days: " + strconv.Itoa(i.Ending30) +
			", 90 days: " + strconv.Itoa(i.Ending90),
	})
	for _, a := range i.Alerts {
		rows = append(rows, []string{string(a.Level) + ": " + a.Text})
	}
	return rows
}
