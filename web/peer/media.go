package peer

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"steward/transfer/coordinator"
)

// The media types of this API name its version, which may rise while the path stays.
// The plain types, which name none, are those of version 1, and are understood beside it.
const (
	vendor  = "application/vnd.steward.transfer+"
	version = "1"
)

// Errors of negotiation (RFC 9110 §12).
var (
	errMediaType = errors.New("the body has another media type than this call")
	errAccept    = errors.New("the answer has another media type than those that are accepted")
)

// versioned returns the type that says the version of a plain one, with its parameter.
func versioned(plain string) string {
	return vendor + strings.TrimPrefix(plain, "application/") + ";version=" + version
}

// spoken returns the types in which a body of a plain type may come, as a list.
func spoken(plain string) string { return versioned(plain) + ", " + plain }

// matches reports how a media type fits a plain one; a type without version is of any.
func matches(mediaType string, params map[string]string, plain string) (fits, says bool) {
	if mediaType == plain {
		return true, false
	}
	base, _, _ := strings.Cut(versioned(plain), ";")
	v, given := params["version"]
	says = mediaType == base && (!given || v == version)
	return says, says
}

// checkBody returns errMediaType unless the body has the plain type, or its version of it.
func checkBody(r *http.Request, plain string) error {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if fits, _ := matches(mediaType, params, plain); err != nil || !fits {
		return &mediaError{errMediaType, plain}
	}
	return nil
}

// answerType returns the type in which an answer of a plain type goes out: with its
// version where that is asked for, and preferred or equal. It returns errAccept if
// neither is accepted.
func answerType(r *http.Request, plain string) (string, error) {
	accept := r.Header.Values("Accept")
	if len(accept) == 0 || plain == "" {
		return plain, nil
	}
	var best, bestVersioned float64
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, given := params["q"]; given {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		fits, says := matches(mediaType, params, plain)
		switch {
		case says:
			bestVersioned = max(bestVersioned, quality)
		case fits, mediaType == "*/*", mediaType == "application/*":
			best = max(best, quality)
		}
	}
	switch {
	case bestVersioned > 0 && bestVersioned >= best:
		return versioned(plain), nil
	case best > 0:
		return plain, nil
	}
	return "", &mediaError{errAccept, plain}
}

// A mediaError says what is spoken instead.
type mediaError struct {
	err   error
	plain string
}

// Error returns it in words.
func (e *mediaError) Error() string { return fmt.Sprintf("%v: %s", e.err, spoken(e.plain)) }

// Unwrap returns errMediaType or errAccept.
func (e *mediaError) Unwrap() error { return e.err }

// answers returns the plain type of the answer to an action; "": there is none.
func answers(a coordinator.Action) string {
	switch a {
	case coordinator.ActionInfo, coordinator.ActionChallenge:
		return coordinator.TypeCBOR
	case coordinator.ActionClose, coordinator.ActionEvidence:
		return coordinator.TypeCOSE
	default:
		return ""
	}
}
