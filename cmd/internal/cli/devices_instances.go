package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func (o *operator) devicesCreate() *cobra.Command {
	var p patience
	var text bool
	cmd := o.onDevice("create DEVICE PATH [PATH=VALUE...]", "Create an instance of an object of a device",
		"create lamp-7 /3303/2 /3303/2/5750=porch", 1, -1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			in := asked{Op: web.OpCreate, Path: args[0]}
			var err error
			if in.Values, err = askedValues(args[1:], text); err != nil {
				return err
			}
			return o.ask(cmd, api, at, p, in)
		})
	p.flags(cmd)
	cmd.Flags().BoolVar(&text, "text", false, "values are text, whatever they look like")
	return cmd
}

func (o *operator) devicesDelete() *cobra.Command {
	var p patience
	cmd := o.onDevice("delete DEVICE PATH", "Delete an instance of an object of a device", "delete lamp-7 /3303/2", 1, 1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			return o.ask(cmd, api, at, p, asked{Op: web.OpDelete, Path: args[0]})
		})
	p.flags(cmd)
	return cmd
}

// askedValues reads arguments PATH=VALUE.
func askedValues(args []string, text bool) (values []askedValue, err error) {
	for _, arg := range args {
		path, written, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%w: %q is no PATH=VALUE", errMisused, arg)
		}
		value, err := jsonValue(written, text)
		if err != nil {
			return nil, err
		}
		values = append(values, askedValue{path, value})
	}
	return values, nil
}
