package audit

import "strings"

// SamePerson reports whether two actors are one person: "operator:alice" and
// "operator:alice/ci", a token of hers. Where a second person must approve, what
// counts is who stands behind a session or token.
func SamePerson(a, b string) bool { return person(a) == person(b) }

func person(actor string) string {
	name, _, _ := strings.Cut(actor, "/")
	return name
}
