package ui

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"steward/web"
	"steward/web/onboard"
)

// An onboardForm is the form for one device, as it was filled in.
type onboardForm struct {
	onboard.Entry

	KeyText         string // hexadecimal; "": one is made here
	CertificateText string
	TagText         string // one a line
}

// An onboardPage asks for one device.
type onboardPage struct {
	Form  onboardForm
	Error string // why the form was refused; "" at first
	Note  string // what a label said
}

func (u *UI) onboard(w http.ResponseWriter, r *http.Request) error {
	form := onboardForm{Entry: onboard.Entry{Security: onboard.Certificate}}
	return u.show(w, r, http.StatusOK, "onboard", "onboard", "Onboard", onboardPage{Form: form})
}

// readOnboard reads the form.
func readOnboard(r *http.Request) (f onboardForm, err error) {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	f.KeyText, f.CertificateText, f.TagText = text("key"), text("certificate"), r.PostFormValue("tags")
	f.Endpoint, f.Security = text("endpoint"), onboard.Security(text("security"))
	switch f.Security {
	case onboard.Certificate:
		f.Endpoint, f.Certificate = "", []byte(f.CertificateText)
	case onboard.PSK:
		f.Use, f.Identity = web.KeyUse(text("use")), text("identity")
		if f.Key, err = hex.DecodeString(strings.Join(strings.Fields(f.KeyText), "")); err != nil {
			return f, web.Invalid("key", "hexadecimal digits, or none for one that is made here")
		}
		if len(f.Key) == 0 {
			f.Key = make([]byte, 16) //nolint:mnd // what AES_128 makes use of
			_, _ = rand.Read(f.Key)  // never fails
		}
	case onboard.RawKey:
		f.Use, f.PublicKey = web.KeyUse(text("use")), text("public_key")
	case onboard.NoSec:
	}
	for line := range strings.Lines(f.TagText) {
		if t := strings.TrimSpace(line); t != "" {
			f.Tags = append(f.Tags, t)
		}
	}
	if err := f.Complete(); err != nil {
		return f, web.Invalid("device", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return f, nil
}

// An onboardedPage is what a device needs to come, told once.
type onboardedPage struct {
	Device  web.Device
	Entry   onboard.Entry
	KeyHex  string // of a pre-shared key
	Mode    int    // resource /0/x/2 (LwM2M Core, table E.1)
	Server  serverSettings
	Command string // that starts a simulated device
	Label   label
}

// serverSettings are what devices must know of this provider.
type serverSettings struct {
	ServerURI    string `json:"server_uri"`
	EnrollURI    string `json:"enroll_uri"`
	BootstrapURI string `json:"bootstrap_uri"`
	SSID         int    `json:"ssid"`
	Lifetime     int    `json:"lifetime"`
}

func (u *UI) serverSettings(ctx context.Context) (out serverSettings, err error) {
	raw, err := u.s.Settings.DeviceSettings(ctx)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, err
	}
	if out.BootstrapURI == "" {
		out.BootstrapURI = out.ServerURI
	}
	if out.SSID == 0 {
		out.SSID = 1
	}
	if out.Lifetime == 0 {
		out.Lifetime = 86400
	}
	return out, nil
}

func (u *UI) admitOne(w http.ResponseWriter, r *http.Request) error {
	form, err := readOnboard(r)
	var d web.Device
	if err == nil {
		d, err = u.admit(r, form.Entry)
	}
	if refusedInput(err) || errors.Is(err, web.ErrForbidden) {
		why, _ := reason(r, err)
		page := onboardPage{Form: form, Error: why}
		return u.show(w, r, http.StatusUnprocessableEntity, "onboard", "onboard", "Onboard", page)
	}
	if err != nil {
		return err
	}
	page := onboardedPage{Device: d, Entry: form.Entry, KeyHex: hex.EncodeToString(form.Key)}
	page.Entry.Endpoint = d.Endpoint
	if page.Server, err = u.serverSettings(r.Context()); err != nil {
		return err
	}
	page.Mode, page.Command = page.simulator()
	if page.Label, err = newLabel(page.Entry, true); err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "onboarded", "onboard", d.Endpoint+" may come", page)
}

// simulator returns the security mode of the device, and the command that starts one
// like it.
func (p onboardedPage) simulator() (mode int, command string) {
	at := "--server " + shellQuote(p.Server.ServerURI)
	if p.Entry.Use == web.KeyBootstrap {
		at = "--bootstrap " + shellQuote(p.Server.BootstrapURI)
	}
	name := " --endpoint " + shellQuote(p.Device.Endpoint)
	const rawKey, certificate, none, enrolled = 1, 2, 3, 4
	switch p.Entry.Security {
	case onboard.PSK:
		return 0, "steward device " + at + " --psk " + shellQuote(p.Entry.Identity+":"+p.KeyHex) + name
	case onboard.RawKey:
		return rawKey, "steward device " + at + " --raw-key device-key.pem" + name
	case onboard.NoSec:
		return none, "steward device --nosec " + shellQuote(noSecURI(p.Server.ServerURI)) + name
	case onboard.Certificate:
		return enrolled, "steward device --state device-state " + shellQuote(p.Device.Endpoint+".device.json")
	}
	return certificate, ""
}

// noSecURI is where devices without security register, if the listener for them is on.
func noSecURI(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "coap://127.0.0.1:5683"
	}
	return "coap://" + u.Hostname() + ":5683"
}

// shellQuote returns text as one word of a shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// admit lets a device in, with its key.
func (u *UI) admit(r *http.Request, e onboard.Entry) (web.Device, error) {
	by := web.ActorFrom(r.Context())
	if e.HoldsKey() && !by.Role.Includes(web.RoleSecurity) {
		return web.Device{}, &web.Error{Is: web.ErrForbidden, Detail: "a key needs the role " + string(web.RoleSecurity)}
	}
	n := web.NewDevice{
		Certificate: e.Certificate, Tags: e.Tags, NoSec: e.Security == onboard.NoSec, KeyOrigin: e.KeyOrigin,
	}
	if len(e.Certificate) == 0 {
		n.Endpoint = e.Endpoint
	}
	d, err := u.s.Factories.ImportDevice(r.Context(), by, n)
	if err != nil || !e.HoldsKey() {
		return d, err
	}
	_, err = u.s.Bootstraps.PutDeviceKey(r.Context(), by, d.ID, web.NewDeviceKey{
		Use: e.Use, Identity: e.Identity, Key: e.Key, PublicKey: e.PublicKey, Reason: "onboarded",
	})
	return d, err
}

// scan takes the text of a label: from a camera, from a hand scanner that types, or
// typed. That of a known device leads to its page.
func (u *UI) scan(w http.ResponseWriter, r *http.Request) error {
	text := r.PostFormValue("label")
	e, err := onboard.ParseLabel(text)
	if errors.Is(err, onboard.ErrLabel) {
		return u.showScan(w, r, http.StatusUnprocessableEntity, text, upperFirst(err.Error())+".")
	}
	if d, known := u.s.Devices.Device(r.Context(), "ep:"+e.Endpoint); e.Endpoint != "" && known == nil {
		return u.done(w, r, nil, "/devices/"+d.ID, "The label is that of this device.", "/onboard/scan")
	}
	page := onboardPage{Form: onboardForm{
		Entry: e, KeyText: hex.EncodeToString(e.Key), TagText: strings.Join(e.Tags, "\n"),
		CertificateText: pemText(e.Certificate),
	}, Note: "As the label says it. Check it, then let the device in."}
	if err != nil {
		page.Note = "The label does not say all: " + strings.ReplaceAll(err.Error(), "\n", "; ") + "."
	}
	return u.show(w, r, http.StatusOK, "onboard", "onboard", "Onboard", page)
}

// A scanPage waits for a label.
type scanPage struct{ Text, Error string }

func (u *UI) scanForm(w http.ResponseWriter, r *http.Request) error {
	return u.showScan(w, r, http.StatusOK, "", "")
}

func (u *UI) showScan(w http.ResponseWriter, r *http.Request, status int, text, why string) error {
	w.Header().Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()") // here alone
	return u.show(w, r, status, "onboard_scan", "onboard", "Scan a label", scanPage{text, why})
}
