package scope

import (
	"context"
	"encoding/json"
	"strings"

	"steward/web"
)

// Sees returns what a stream asks before it hands on an event: those who do not see
// all devices get what happens to theirs, of the audit rows their own besides, and
// nothing else.
func Sees(s web.Services) func(context.Context, web.Event) bool {
	b := &bounds{s.Complete()}
	return func(ctx context.Context, e web.Event) bool {
		_, all, err := groupsOf(ctx)
		if err != nil || all {
			return all
		}
		switch {
		case e.Type == web.EventAudit:
			if ownRow(ctx, e) {
				return true
			}
		case !strings.HasPrefix(e.Type, "device."):
			return false
		}
		in, err := b.sees(ctx, e.Subject)
		return in && err == nil
	}
}

// ownRow reports whether an audit row tells what the actor of ctx did. What has no
// row in it, an AuditGap, is for everybody: it tells no more than the numbers of rows do.
func ownRow(ctx context.Context, e web.Event) bool {
	var row struct{ Actor, Action string }
	err := json.Unmarshal(e.Data, &row)
	return err == nil && (row.Action == "" || row.Actor == web.ActorFrom(ctx).String())
}
