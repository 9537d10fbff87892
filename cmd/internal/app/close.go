package app

import "errors"

// Close gives free what New opened. It is for an App that was never run, and
// after Run.
func (a *App) Close() error {
	var errs []error
	if a.coaps != nil && !a.ran {
		errs = append(errs, a.coaps.Close())
	}
	if a.coap != nil && !a.ran {
		errs = append(errs, a.coap.Close())
	}
	if !a.ran {
		errs = append(errs, a.streams.close())
	}
	if a.web != nil && !a.ran {
		errs = append(errs, a.web.Close())
	}
	if a.ring != nil {
		errs = append(errs, a.ring.Close())
	}
	if a.signs != nil {
		errs = append(errs, a.signs.Close())
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	if a.journal != nil { // after the database: nothing is revoked any more
		errs = append(errs, a.journal.Close())
	}
	if a.dir != nil {
		errs = append(errs, a.dir.Close())
	}
	return errors.Join(errs...)
}
