package est

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
)

// bound returns ErrBinding where the profile demands that requests are bound to
// their sessions and o is not: the challengePassword must be the session's channel
// binding in base64 (RFC 7030 §3.5). Elsewhere a challengePassword is ignored.
func (p *Profile) bound(o *order) error {
	switch {
	case !p.binding:
		return nil
	case len(o.binding) == 0:
		return fmt.Errorf("%w: the session has no channel binding, or it is kept no longer", ErrBinding)
	case o.csr.attributes.challenge == "":
		return fmt.Errorf("%w: no challengePassword", ErrBinding)
	}
	want := base64.StdEncoding.EncodeToString(o.binding)
	if subtle.ConstantTimeCompare([]byte(want), []byte(o.csr.attributes.challenge)) != 1 {
		return fmt.Errorf("%w: the challengePassword is of another session", ErrBinding)
	}
	return nil
}
