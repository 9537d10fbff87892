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
)

// Choices returns what a form offers of devices.
func Choices(devices web.Devices, r *http.Request, chosen []string) (choices, error) {
	u := &UI{s: web.Services{Devices: devices}}
	return u.choices(r, chosen)
}
