package handshake

import (
	"fmt"

	"steward/lwm2m/dtls"
)

// An alert is the description of an alert message (RFC 5246 §7.2).
type alert uint8

// The alerts that are sent, or looked for.
const (
	alertCloseNotify            alert = 0
	alertUnexpectedMessage      alert = 10
	alertHandshakeFailure       alert = 40
	alertBadCertificate         alert = 42
	alertUnsupportedCertificate alert = 43
	alertIllegalParameter       alert = 47
	alertAccessDenied           alert = 49
	alertDecodeError            alert = 50
	alertDecryptError           alert = 51
	alertProtocolVersion        alert = 70
	alertInternalError          alert = 80
	alertInappropriateFallback  alert = 86  // RFC 7507
	alertUnsupportedExtension   alert = 110 // RFC 5246 §7.4.1.4
	alertUnrecognizedName       alert = 112 // RFC 6066 §3

	levelFatal = 2
)

// A failure ends a handshake; the peer is told its alert.
type failure struct {
	alert  alert
	reason error
	// later keeps the end from telling by its time what was found out: it waits for the
	// next look at the clock.
	later bool
}

func (f *failure) Error() string { return f.reason.Error() }
func (f *failure) Unwrap() error { return f.reason }

// fail makes a failure of one of the package's errors and what was wrong.
func fail(a alert, kind error, format string, args ...any) error {
	return &failure{alert: a, reason: fmt.Errorf("%w: %w", kind, fmt.Errorf(format, args...))}
}

// A alertError is the end of a handshake by the peer.
type alertError struct{ alert alert }

func (a *alertError) Error() string {
	return fmt.Sprintf("%v: alert %d of the peer", dtls.ErrHandshake, a.alert)
}
func (a *alertError) Unwrap() error { return dtls.ErrHandshake }
