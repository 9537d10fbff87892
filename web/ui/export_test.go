package ui

import (
	"net/http"

	"steward/web"
)

// For tests.
var (
	Steps   = steps
	FactsOf = factsOf
	Outcome = outcome
	NewQR   = newQR
)

// Licences is the list of modules and their licences.
var Licences = licences

// Choices returns what a form offers of devices.
func Choices(devices web.Devices, r *http.Request, chosen []string) (choices, error) {
	u := &UI{s: web.Services{Devices: devices}}
	return u.choices(r, chosen)
}

// Bar returns what a bar says and how wide its parts are together.
func Bar(counts web.Counts, total int) (text string, width int) {
	b := newBar(counts, total)
	for _, p := range b.Parts {
		width += p.Width
	}
	return b.Text, width
}
