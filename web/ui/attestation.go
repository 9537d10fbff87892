package ui

import (
	"net/http"
	"strings"
	"time"

	"steward/web"
)

// An attestationPage lists devices by what they proved, and says how often they do.
type attestationPage struct {
	State  string
	States []string
	List   []web.AttestationRound
	Next   string // address of the next part; "" for the last
	Rules  []web.AttestationRule
}

func (u *UI) attestations(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	page := attestationPage{
		State: r.URL.Query().Get("state"), States: []string{"bad", "mute", "good", "unproved"},
	}
	if page.State == "" {
		page.State = page.States[0]
	}
	all, err := u.s.Rounds.ListAttestations(r.Context(), page.State, p)
	if err != nil {
		return err
	}
	page.List, page.Next = all.Items, web.NextURL(r.URL, all.Next)
	if page.Rules, err = u.s.Rounds.AttestationRules(r.Context()); err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "attestation", "certificates", "Attestation", page)
}

// setAttestationRule stores a rule, or removes it.
func (u *UI) setAttestationRule(w http.ResponseWriter, r *http.Request) error {
	const page = "/attestation"
	by, tag := web.ActorFrom(r.Context()), strings.TrimSpace(r.PostFormValue("tag"))
	if tag == "" {
		tag = web.OtherTags
	}
	if r.PostFormValue("action") == "remove" {
		err := u.s.Rounds.RemoveAttestationRule(r.Context(), by, tag)
		return u.done(w, r, err, page, "The rule is gone.", page)
	}
	every, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(r.PostFormValue("every")), " ", ""))
	if err != nil || every%time.Second != 0 {
		return u.done(w, r, web.Invalid("every", "a time such as 24h, or 0 for never"), page, "", page)
	}
	rule := web.AttestationRule{Tag: tag, Seconds: int(every / time.Second)}
	_, err = u.s.Rounds.PutAttestationRule(r.Context(), by, rule)
	return u.done(w, r, err, page, "The rule is stored. Devices are asked each at its own moment of the interval.", page)
}

// every says an interval in words.
func every(seconds int) string {
	if seconds == 0 {
		return "never"
	}
	text := (time.Duration(seconds) * time.Second).String() // such as 24h0m0s
	return strings.Replace(strings.Replace(text, "m0s", "m", 1), "h0m", "h", 1)
}

// proofPill shows how a device stands with its proofs.
func proofPill(state string) pill {
	words := map[string]string{
		"unproved": "not proved yet", "good": "as it should be", "bad": "evidence against it", "mute": "no evidence",
	}
	level := map[string]web.Level{
		"good": web.LevelGood, "bad": web.LevelBad, "mute": web.LevelWarning,
	}[state]
	text := words[state]
	if text == "" {
		text = state
	}
	return newPill(level, text)
}
