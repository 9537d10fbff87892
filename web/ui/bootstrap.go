package ui

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"steward/web"
)

// A bootstrapPage lists the profiles.
type bootstrapPage struct{ Profiles []web.BootstrapProfile }

func (u *UI) profiles(w http.ResponseWriter, r *http.Request) error {
	all, err := u.s.Bootstraps.BootstrapProfiles(r.Context())
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "bootstrap", "groups", "Bootstrap", bootstrapPage{all})
}

func (u *UI) putProfile(w http.ResponseWriter, r *http.Request) error {
	in := web.BootstrapProfile{
		Name: strings.TrimSpace(r.PostFormValue("name")), Tag: strings.TrimSpace(r.PostFormValue("tag")),
		Mode: r.PostFormValue("mode"), Queue: r.PostFormValue("queue") == "on",
		Streams: r.PostFormValue("streams") == "on",
	}
	for name, to := range map[string]*int{
		"short_id": &in.ShortID, "lifetime": &in.Lifetime, "min_period": &in.MinPeriod, "max_period": &in.MaxPeriod,
	} {
		text := strings.TrimSpace(r.PostFormValue(name))
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return u.done(w, r, web.Invalid(name, "not a number"), "", "", "/bootstrap")
		}
		*to = n
	}
	p, err := u.s.Bootstraps.PutBootstrapProfile(r.Context(), web.ActorFrom(r.Context()), in)
	return u.done(w, r, err, "/bootstrap", "Profile "+p.Name+" is stored. Devices get it at their next bootstrap.",
		"/bootstrap")
}

func (u *UI) removeProfile(w http.ResponseWriter, r *http.Request) error {
	name := r.PostFormValue("name")
	err := u.s.Bootstraps.RemoveBootstrapProfile(r.Context(), web.ActorFrom(r.Context()), name)
	return u.done(w, r, err, "/bootstrap", "Profile "+name+" is gone.", "/bootstrap")
}

func (u *UI) setDeviceKey(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	back := "/devices/" + id
	use := web.KeyUse(r.PostFormValue("use"))
	if r.PostFormValue("action") == "remove" {
		_, err := u.s.Bootstraps.RemoveDeviceKey(r.Context(), web.ActorFrom(r.Context()), id, use)
		return u.done(w, r, err, back, "The key is gone, and sessions by it have ended.", back)
	}
	if text := strings.TrimSpace(r.PostFormValue("public_key")); text != "" {
		_, err := u.s.Bootstraps.PutDeviceKey(r.Context(), web.ActorFrom(r.Context()), id, web.NewDeviceKey{
			Use: use, PublicKey: text, Reason: r.PostFormValue("reason"),
		})
		return u.done(w, r, err, back, "The public key is stored. Sessions by an earlier key have ended.", back)
	}
	key, err := hex.DecodeString(strings.Join(strings.Fields(r.PostFormValue("key")), ""))
	if err != nil {
		return u.done(w, r, web.Invalid("key", "not hexadecimal"), "", "", back)
	}
	_, err = u.s.Bootstraps.PutDeviceKey(r.Context(), web.ActorFrom(r.Context()), id, web.NewDeviceKey{
		Use: use, Identity: strings.TrimSpace(r.PostFormValue("identity")), Key: key, Reason: r.PostFormValue("reason"),
	})
	return u.done(w, r, err, back, "The key is stored. It cannot be shown again.", back)
}
