package ui

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"steward/web"
)

// A flash is one message that the next page shows once.
type flash struct {
	Level web.Level `json:"l"`
	Text  string    `json:"t"`
}

const maxFlash = 1000 // bytes of text: a cookie holds 4 KiB

func (u *UI) flashCookie() string { return "steward_flash_" + u.o.Door.Instance }

// say stores a message for the next page.
func (u *UI) say(w http.ResponseWriter, level web.Level, text string) {
	if len(text) > maxFlash {
		text = strings.ToValidUTF8(text[:maxFlash], "") + "…"
	}
	body, err := json.Marshal(flash{level, text})
	if err != nil {
		return // two strings always marshal
	}
	u.setFlash(w, base64.RawURLEncoding.EncodeToString(body), 60)
}

func (u *UI) setFlash(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure wherever there is TLS
		Name: u.flashCookie(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: u.o.Door.TLS, SameSite: http.SameSiteStrictMode,
	})
}

// refreshHeader marks a request by which the script renews parts of a page.
const refreshHeader = "X-Refresh"

// takeFlash returns the stored message and forgets it; nil if there is none. A
// refresh leaves it for the page that a form led to.
func (u *UI) takeFlash(w http.ResponseWriter, r *http.Request) *flash {
	c, err := r.Cookie(u.flashCookie())
	if err != nil || r.Header.Get(refreshHeader) != "" {
		return nil
	}
	u.setFlash(w, "", -1)
	body, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	var f flash
	if json.Unmarshal(body, &f) != nil {
		return nil
	}
	return &f
}

// done ends a form: with a message on the page to after success, with the
// reason on the page back when the request was refused. Faults of ours are
// returned.
func (u *UI) done(w http.ResponseWriter, r *http.Request, err error, to, text, back string) error {
	if err != nil {
		why, mine := reason(r, err)
		if mine {
			return err
		}
		web.LogError(r, u.o.Log, err)
		u.say(w, web.LevelBad, why)
		to = back
	} else {
		u.say(w, web.LevelGood, text)
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // G710: paths of ours, in which ids are escaped
	return nil
}

// reason says in words why err refused a request, and whether it is a fault of
// ours, which people learn by its trace id only.
func reason(r *http.Request, err error) (text string, mine bool) {
	for _, fault := range []error{
		web.ErrInvalid, web.ErrConflict, web.ErrForbidden, web.ErrUnreachable, web.ErrDevice,
		web.ErrTimeout, web.ErrUnavailable, web.ErrNotBuilt,
	} {
		if errors.Is(err, fault) {
			return problemText(fault, web.ProblemOf(r, err)), false
		}
	}
	return "", true
}

func problemText(kind error, p web.Problem) string {
	text := upperFirst(kind.Error())
	if p.CoAP != "" {
		text += " (" + p.CoAP + ")"
	}
	if p.Detail != "" && p.Detail != kind.Error() {
		text += ": " + p.Detail
	}
	parts := []string{text}
	for _, f := range p.Errors {
		parts = append(parts, f.Field+": "+f.Detail)
	}
	return strings.Join(parts, "; ") + "."
}
