package account

import (
	"errors"
	"math"
	"strings"
	"time"

	"steward/web"
)

// Problem returns err, an error of this package, as one that pages and the REST
// API show.
func Problem(err error) error {
	if err == nil {
		return nil
	}
	var pause *PauseError
	var password *PasswordError
	switch {
	case errors.As(err, &pause):
		return &web.Error{
			Is: web.ErrTooMany, Detail: pause.Error(),
			RetryAfter: time.Duration(math.Ceil(pause.Wait.Seconds())) * time.Second,
		}
	case errors.As(err, &password):
		return web.Invalid("password", password.Detail)
	}
	for _, row := range []struct{ err, as error }{
		{ErrCredential, &web.Error{Is: web.ErrNotFound, Detail: ErrCredential.Error()}},
		{ErrName, web.Invalid("name", "letters, digits and . _ @ - only")},
		{web.ErrRole, web.Invalid("role", strings.Join(roleNames(), ", ")+"; several are joined by +")},
		{web.ErrScope, web.Invalid("groups", "names of at most 16 groups")},
		{ErrUnknown, &web.Error{Is: web.ErrNotFound, Detail: ErrUnknown.Error()}},
		{ErrConflict, &web.Error{Is: web.ErrConflict, Detail: err.Error()}},
		{ErrLastAdmin, &web.Error{Is: web.ErrConflict, Detail: ErrLastAdmin.Error()}},
		{ErrRights, &web.Error{Is: web.ErrForbidden, Detail: err.Error()}},
		{ErrExternal, &web.Error{Is: web.ErrConflict, Detail: ErrExternal.Error()}},
		{ErrStale, &web.Error{Is: web.ErrForbidden, Detail: ErrStale.Error()}},
		{ErrToken, web.Invalid("token", err.Error())},
		{ErrBusy, &web.Error{Is: web.ErrUnavailable, Detail: ErrBusy.Error()}},
	} {
		if errors.Is(err, row.err) {
			return row.as
		}
	}
	return err
}

func roleNames() []string {
	var names []string
	for _, r := range web.Roles() {
		names = append(names, string(r))
	}
	return names
}
