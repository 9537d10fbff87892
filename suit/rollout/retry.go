package rollout

import (
	"fmt"
	"time"

	"steward/objects"
)

// A Retry says how often a device tries again after a result, and when.
type Retry struct {
	Tries   int     `json:"tries"`             // over again; 0: the job fails at once
	Backoff Seconds `json:"backoff,omitempty"` // before the first, then doubling; 0: a minute
}

// A RetryMatrix says what follows from each update result code, of object 5 or
// 33629. A code that is missing follows CodeOther, and fails if that is missing.
type RetryMatrix map[int]Retry

// Codes of a RetryMatrix that no device reports.
const (
	CodeOther   = -1 // any code that the matrix does not list
	CodeTimeout = -2 // a reachable device took longer than Plan.Timeout
	CodeRefused = -3 // the device answered a request with an error
	CodeVersion = -4 // the device reports success, but not the version of the release
	CodeForgot  = -5 // the device forgot what it had downloaded
	CodeSilent  = -6 // the device was out of reach for too long; never tried again
)

// MaxTries bounds the tries for one code: no device is asked for ever.
const MaxTries = 100

// DefaultRetry returns the matrix of plans that have none: what time can heal is
// tried again, what the image or the device decides is not.
func DefaultRetry() RetryMatrix {
	return RetryMatrix{
		int(objects.FirmwareNoMemory):       {Tries: 2, Backoff: 600},
		int(objects.FirmwareConnectionLost): {Tries: 3, Backoff: 60},
		int(objects.FirmwareIntegrity):      {Tries: 1, Backoff: 60},
		int(objects.FirmwareCancelled):      {Tries: 1, Backoff: 600},
		int(objects.FirmwareDeferred):       {Tries: 10, Backoff: 3600},
		CodeTimeout:                         {Tries: 1, Backoff: 600},
		CodeRefused:                         {Tries: 2, Backoff: 60},
		CodeForgot:                          {Tries: 5, Backoff: 10},
	}
}

// of returns what follows from a code.
func (m RetryMatrix) of(code int) Retry {
	if m == nil {
		m = DefaultRetry()
	}
	if r, ok := m[code]; ok {
		return r
	}
	return m[CodeOther]
}

// wait returns how long to wait before try number n, from 1.
func (r Retry) wait(n int) time.Duration {
	first := r.Backoff.Duration()
	if first == 0 {
		first = time.Minute
	}
	return min(first<<min(n-1, maxDoublings), max(first, day))
}

// maxDoublings keeps a back-off from overflowing; a day bounds it before.
const maxDoublings = 12

func (m RetryMatrix) check() error {
	for code, r := range m {
		if r.Tries < 0 || r.Tries > MaxTries || r.Backoff < 0 || r.Backoff > Seconds(day/time.Second) {
			return fmt.Errorf("%w: %d tries after %d s for result %d", ErrCampaign, r.Tries, r.Backoff, code)
		}
	}
	return nil
}

// resultText returns a code in words.
func resultText(code int) string {
	switch code {
	case CodeTimeout:
		return "took too long"
	case CodeRefused:
		return "the device refused"
	case CodeVersion:
		return "another version runs"
	case CodeForgot:
		return "the device forgot the download"
	case CodeSilent:
		return "out of reach"
	case 12: //nolint:mnd // Advanced Firmware Update 33629
		return "conflicts with another component"
	case 13: //nolint:mnd // likewise
		return "a component that this one needs is missing"
	}
	if code < 0 || code > int(objects.FirmwareDeferred) {
		return fmt.Sprintf("result %d", code)
	}
	return objects.FirmwareResult(code).String()
}
