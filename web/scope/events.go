package scope

import (
	"context"
	"strings"

	"steward/web"
)

// Sees returns what a stream asks before it hands on an event: those who do not see
// all devices get what happens to theirs, and nothing else.
func Sees(s web.Services) func(context.Context, web.Event) bool {
	b := &bounds{s.Complete()}
	return func(ctx context.Context, e web.Event) bool {
		_, all, err := groupsOf(ctx)
		if err != nil || all {
			return all
		}
		if !strings.HasPrefix(e.Type, "device.") {
			return false
		}
		in, err := b.sees(ctx, e.Subject)
		return in && err == nil
	}
}
