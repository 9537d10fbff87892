package bootstrap

import "steward/lwm2m"

// Plan returns the paths that a session would delete or write after an answer to
// Discover, in both passes.
func Plan(c Configuration, discovered string) (out []lwm2m.Path, err error) {
	h, err := parseHeld(discovered)
	if err != nil {
		return nil, err
	}
	for _, x := range append(c.plan(h, nil), c.repair(h)...) {
		out = append(out, x.path)
	}
	return out, nil
}

// Bootstraps returns the instances that the answer calls bootstrap accounts.
func Bootstraps(discovered string) []uint16 {
	h, _ := parseHeld(discovered)
	return h.bootstraps
}
