package audit

import "strings"

// SamePerson reports whether two actors are one person: "operator:alice" and
// "operator:alice/ci", a token of hers. Where a second person must approve, what
// counts is who stands behind a session or token. Tokens that belong to nobody count
// as one together, for each can make others.
func SamePerson(a, b string) bool { return person(a) == person(b) }

// TokenSuffix ends the names of tokens that belong to nobody, and of no person.
const TokenSuffix = ".token"

func person(actor string) string {
	name, _, _ := strings.Cut(actor, "/")
	if strings.HasSuffix(name, TokenSuffix) {
		return TokenSuffix
	}
	return name
}
