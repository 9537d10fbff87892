package doctor

import (
	"time"

	"steward/cmd/internal/app"
)

// A CRL should have been followed by another when less than a part of its time is left,
// and in the last days of one that counts for long. Our own are made when they are asked
// for: they are never late.
const (
	crlPart = 4
	crlDays = 7 * 24 * time.Hour
)

// factoryCRLs looks at what factory CAs have revoked: nobody enrols by a list that is out
// of date.
func (e *examination) factoryCRLs() {
	const check, remedy = "CRL of a factory", "get the next list from the factory CA"
	for _, path := range e.Config.FactoryCRLs {
		list, err := app.ReadCRL(path)
		if err != nil {
			e.add(check, Error, remedy, "%s: %v", path, err)
			continue
		}
		if list.NextUpdate.IsZero() {
			e.ok(check, "%s: it does not say when it ends", path)
			continue
		}
		left, until := list.NextUpdate.Sub(e.Now()), list.NextUpdate.UTC().Format(time.RFC3339)
		switch {
		case left < 0:
			e.add(check, Error, remedy, "%s: out of date since %s: devices of that factory cannot enrol", path, until)
		case left < min(crlDays, list.NextUpdate.Sub(list.ThisUpdate)/crlPart):
			e.add(check, Warning, remedy, "%s: the next is due by %s", path, until)
		default:
			e.ok(check, "%s: good until %s", path, until)
		}
	}
}
