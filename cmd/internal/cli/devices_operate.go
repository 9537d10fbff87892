package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

// errOperation reports an operation that did not end well.
var errOperation = errors.New("the device did not do it")

// An asked is what a device is asked, as the REST API takes it.
type asked struct {
	Op         web.OperationKind `json:"op"`
	Path       string            `json:"path"`
	Value      json.RawMessage   `json:"value,omitempty"`
	Values     []askedValue      `json:"values,omitempty"`
	Arguments  string            `json:"arguments,omitempty"`
	Attributes []string          `json:"attributes,omitempty"`
	TTL        int               `json:"ttl,omitempty"`
}

type askedValue struct {
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// An answered is what came of it: an outcome, or an operation that waits.
type answered struct {
	ID     string    `json:"id"`
	State  string    `json:"state"`
	Over   bool      `json:"over"`
	Reason string    `json:"reason"`
	Wakes  time.Time `json:"wakes_at"`

	Failure *web.OperationFailure `json:"failure"`
	Source  string                `json:"source"`
	Links   string                `json:"links"`
	Created string                `json:"created"`
	Values  []struct {
		Path  string `json:"path"`
		Name  string `json:"name"`
		Value any    `json:"value"`
		Units string `json:"units"`
	} `json:"values"`
}

// A patience says how long an operation may wait for a sleeping device, and we for it.
type patience struct {
	ttl, wait time.Duration
}

func (p *patience) flags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&p.ttl, "ttl", 0, "how long it may wait for a device that sleeps (default the provider's)")
	cmd.Flags().DurationVar(&p.wait, "wait", 0, "wait so long for the end of an operation that waits for its device")
}

// ask asks a device, waits if it is to, and prints what came of it.
func (o *operator) ask(cmd *cobra.Command, api *remote.API, at string, p patience, in asked) error {
	in.TTL = int(p.ttl / time.Second)
	var raw json.RawMessage
	if err := api.Post(cmd.Context(), at+"/operations", in, &raw); err != nil {
		return err
	}
	return o.showAnswer(cmd, api, at, p, raw)
}

func (o *operator) showAnswer(cmd *cobra.Command, api *remote.API, at string, p patience, raw json.RawMessage) error {
	var a answered
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	if a.ID != "" && !a.Over && p.wait > 0 {
		var err error
		if raw, a, err = await(cmd, api, at+"/operations/"+url.PathEscape(a.ID), p.wait); err != nil {
			return err
		}
	}
	if err := o.print(cmd, raw, a.rows); err != nil {
		return err
	}
	switch {
	case a.ID == "" || a.State == "done":
		return nil
	case !a.Over && p.wait == 0:
		return nil // it waits, which was said
	default:
		return fmt.Errorf("%w: %s %s", errOperation, a.State, a.Reason)
	}
}

// await looks at an operation until it is over.
func await(cmd *cobra.Command, api *remote.API, path string, most time.Duration) (
	raw json.RawMessage, a answered, err error,
) {
	ctx, cancel := context.WithTimeout(cmd.Context(), most)
	defer cancel()
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.end()
	for {
		if err := api.Get(cmd.Context(), path, &raw); err != nil {
			return raw, a, err
		}
		a = answered{}
		if err := json.Unmarshal(raw, &a); err != nil || a.Over {
			return raw, a, err
		}
		bar.say(a.State + ", the device is expected " + moment(a.Wakes))
		if !pause(ctx, pollEvery) {
			return raw, a, cmd.Context().Err()
		}
	}
}

// pollEvery is how often a provider is asked how far something is.
const pollEvery = 500 * time.Millisecond

// pause waits, and returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a answered) rows() [][]string {
	var rows [][]string
	if a.ID != "" {
		rows = append(rows, []string{"operation", a.ID, a.State, a.Reason})
		if !a.Over {
			rows = append(rows, []string{"expected", moment(a.Wakes)})
		}
	}
	if a.Failure != nil {
		rows = append(rows, []string{"failure", a.Failure.Code, a.Failure.CoAP, a.Failure.Detail})
	}
	for _, v := range a.Values {
		rows = append(rows, []string{v.Path, shown(v.Value), v.Units, v.Name})
	}
	if a.Links != "" {
		for link := range strings.SplitSeq(a.Links, ",") {
			rows = append(rows, []string{link})
		}
	}
	if a.Created != "" {
		rows = append(rows, []string{"created", a.Created})
	}
	if rows == nil {
		rows = [][]string{{"done"}}
	}
	return rows
}

// shown shows a value of JSON to people.
func shown(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func (o *operator) devicesRead() *cobra.Command {
	var p patience
	var cache bool
	cmd := o.onDevice("read DEVICE PATH", "Read an object, instance or resource of a device", "read lamp-7 /3/0", 1, 1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			if !cache {
				return o.ask(cmd, api, at, p, asked{Op: web.OpRead, Path: args[0]})
			}
			var raw json.RawMessage
			if err := api.Get(cmd.Context(), at+"/lwm2m/"+strings.Trim(args[0], "/"), &raw); err != nil {
				return err
			}
			return o.showAnswer(cmd, api, at, p, raw)
		})
	p.flags(cmd)
	cmd.Flags().BoolVar(&cache, "cache", false, "do not ask the device: what was heard last")
	return cmd
}

func (o *operator) devicesWrite() *cobra.Command {
	var p patience
	var text bool
	cmd := o.onDevice("write DEVICE PATH=VALUE...", "Write resources of a device",
		"write lamp-7 /3/0/15=UTC /1/0/1=300", 1, -1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			values, err := askedValues(args, text)
			if err != nil {
				return err
			}
			in := asked{Values: values}
			in.Op, in.Path, in.Value = web.OpWrite, in.Values[0].Path, in.Values[0].Value
			if len(in.Values) > 1 {
				in.Op, in.Path, in.Value = web.OpWriteComposite, "/", nil
			} else {
				in.Values = nil
			}
			return o.ask(cmd, api, at, p, in)
		})
	p.flags(cmd)
	cmd.Flags().BoolVar(&text, "text", false, "values are text, whatever they look like")
	return cmd
}

func (o *operator) devicesExecute() *cobra.Command {
	var p patience
	cmd := o.onDevice("execute DEVICE PATH [ARGUMENTS]", "Execute a resource of a device", "execute lamp-7 /3/0/4", 1, 2,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			in := asked{Op: web.OpExecute, Path: args[0]}
			if len(args) > 1 {
				in.Arguments = args[1]
			}
			return o.ask(cmd, api, at, p, in)
		})
	p.flags(cmd)
	return cmd
}

func (o *operator) devicesObserve() *cobra.Command {
	var p patience
	var cancel bool
	in := asked{}
	cmd := o.onDevice("observe DEVICE [PATH]", "Observe a node of a device for good, or list what is observed",
		"observe lamp-7 /3303/0/5700 --attribute pmin=10", 0, 1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			if len(args) == 0 {
				return o.printObservations(cmd, api, at)
			}
			in.Op, in.Path = web.OpObserve, args[0]
			if cancel {
				in.Op = web.OpCancelObserve
			}
			return o.ask(cmd, api, at, p, in)
		})
	p.flags(cmd)
	cmd.Flags().StringSliceVar(&in.Attributes, "attribute", nil, "such as `pmin=10`")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end it")
	return cmd
}

func (o *operator) printObservations(cmd *cobra.Command, api *remote.API, at string) error {
	var all struct {
		Items []web.DeviceObservation `json:"items"`
	}
	if err := api.Get(cmd.Context(), at+"/observations", &all); err != nil {
		return err
	}
	return o.print(cmd, all.Items, func() [][]string {
		rows := [][]string{{"PATHS", "ATTRIBUTES", "STATE", "TEMPLATE", "REASON"}}
		for _, w := range all.Items {
			rows = append(rows, []string{
				fmt.Sprint(w.Paths), strings.Join(w.Attributes, "&"), w.State, w.Template, w.Reason,
			})
		}
		return rows
	})
}

func (o *operator) devicesDiscover() *cobra.Command {
	var p patience
	cmd := o.onDevice("discover DEVICE PATH", "Ask a device what is below a path, and its attributes",
		"discover lamp-7 /3", 1, 1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			return o.ask(cmd, api, at, p, asked{Op: web.OpDiscover, Path: args[0]})
		})
	p.flags(cmd)
	return cmd
}
