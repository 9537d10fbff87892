package dtls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
	"github.com/pion/logging"

	"steward/lwm2m/coap"
)

// AcceptOptions are what a server handshake needs.
type AcceptOptions struct {
	// Credentials are required.
	Credentials Credentials
	// CID makes a connection identifier of CIDLength bytes; nil negotiates none.
	CID func() []byte
	// FlightInterval is the first retransmission interval, doubled each time
	// (RFC 6347 §4.2.4.1). Zero: one second.
	FlightInterval time.Duration
}

// Accept leads one handshake as server over l, from the ClientHello that was
// delivered first, and returns once it is complete, has failed or ctx has ended.
// A certificate of the client is required unless it chose a PSK suite, and the
// extended master secret is always (RFC 7627). Errors wrap ErrRefused, ErrTimeout or ErrHandshake.
func Accept(ctx context.Context, l *Link, o AcceptOptions) (Established, error) {
	j := &judge{link: l, credentials: o.Credentials}
	options := serverOptions(j, o)
	conn, err := dtls.ServerWithOptions(engine{l}, l.remote, options...)
	if err != nil {
		return Established{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	err = conn.HandshakeContext(ctx)
	l.mute()
	if err != nil {
		_ = conn.Close() // its error is of no interest after the handshake's
		return Established{}, j.reason(ctx, err)
	}
	x, err := export(conn)
	_ = conn.Close() // muted: its close_notify goes nowhere
	if err != nil {
		return Established{}, err
	}
	e := Established{Identity: j.identity, Chain: j.chain, PSKIdentity: j.psk, LastFlight: l.lastFlight()}
	e.Session, err = x.session()
	return e, err
}

// judge asks the credentials and remembers their answers, which the engine does not hand back.
type judge struct {
	link        *Link
	credentials Credentials
	identity    coap.Identity
	chain       [][]byte
	psk         []byte
	refusal     error
}

func (j *judge) certificate(hello *dtls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := j.credentials.Certificate(hello.ServerName)
	if err != nil {
		j.refusal = err
	}
	return c, err
}

func (j *judge) key(identity []byte) ([]byte, error) {
	k, err := j.credentials.PSK(identity)
	if err != nil {
		if errors.Is(err, ErrUnknownIdentity) {
			j.link.markUnknown()
		}
		j.refusal = err
	}
	return k, err
}

// verify runs once the client's Finished has been verified, so that what it is
// asked about has been proved.
func (j *judge) verify(s *dtls.State) error {
	j.chain = s.PeerCertificates
	if len(j.chain) == 0 {
		j.psk = append([]byte{}, s.IdentityHint...)
	}
	identity, err := j.credentials.Identify(j.chain, j.psk)
	if err != nil {
		j.refusal = err
	}
	j.identity = identity
	return err
}

func (j *judge) reason(ctx context.Context, err error) error {
	return reason(ctx, j.refusal, err)
}

// reason classifies a failed handshake.
func reason(ctx context.Context, refusal, err error) error {
	switch {
	case refusal != nil:
		return fmt.Errorf("%w: %w", ErrRefused, refusal)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	default:
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
}

// suites are ours in order of preference, CCM_8 first as RFC 7252 §9.1.3 has it.
func suites() []dtls.CipherSuiteID {
	return append(certificateSuites(), pskSuites()...)
}

func certificateSuites() []dtls.CipherSuiteID {
	return []dtls.CipherSuiteID{
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	}
}

func pskSuites() []dtls.CipherSuiteID {
	return []dtls.CipherSuiteID{
		dtls.TLS_PSK_WITH_AES_128_CCM_8,
		dtls.TLS_PSK_WITH_AES_128_CCM,
		dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
	}
}

// serverOptions offers P-256 alone: the engine follows the client's order, and
// X25519, which many clients name first, costs twice as much here.
func serverOptions(j *judge, o AcceptOptions) []dtls.ServerOption {
	options := []dtls.ServerOption{
		dtls.WithCipherSuites(suites()...),
		dtls.WithEllipticCurves(elliptic.P256),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithClientAuth(dtls.RequireAnyClientCert), // judged by verify
		dtls.WithGetCertificate(j.certificate),
		dtls.WithPSK(j.key),
		dtls.WithVerifyConnection(j.verify),
		dtls.WithLoggerFactory(quiet()),
	}
	if o.CID != nil {
		options = append(options, dtls.WithConnectionIDGenerator(o.CID))
	}
	if o.FlightInterval > 0 {
		options = append(options, dtls.WithFlightInterval(o.FlightInterval))
	}
	return options
}

// quiet silences the engine: what matters comes back as an error.
func quiet() logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
}

// exported names the fields of the engine's serialized state that we need; gob
// matches them by name.
type exported struct {
	RemoteSequenceNumber uint64
	LocalEpoch           uint16
	LocalRandom          [randomLength]byte
	RemoteRandom         [randomLength]byte
	CipherSuiteID        uint16
	MasterSecret         []byte
	SequenceNumber       uint64
	LocalConnectionID    []byte
	RemoteConnectionID   []byte
}

// export takes the state of a completed handshake out of its muted engine.
func export(conn *dtls.Conn) (*exported, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, fmt.Errorf("%w: no state", ErrHandshake)
	}
	raw, err := state.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	x := new(exported)
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return x, nil
}

// session derives the server's record keys (RFC 5246 §6.3).
func (x *exported) session() (Session, error) {
	s := Session{next: x.SequenceNumber}
	switch dtls.CipherSuiteID(x.CipherSuiteID) {
	case dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CCM_8:
		s.protection = CCM8
	case dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_CCM:
		s.protection = CCM
	case dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256:
		s.protection = GCM
	default:
		return Session{}, fmt.Errorf("%w: %04x", ErrSuite, x.CipherSuiteID)
	}
	if x.LocalEpoch != sessionEpoch {
		return Session{}, fmt.Errorf("%w: %w", ErrHandshake, ErrEpoch)
	}
	k, err := prf.GenerateEncryptionKeys(x.MasterSecret, x.RemoteRandom[:], x.LocalRandom[:], 0, keyLength, ivLength,
		sha256.New)
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	copy(s.readKey[:], k.ClientWriteKey)
	copy(s.writeKey[:], k.ServerWriteKey)
	copy(s.readIV[:], k.ClientWriteIV)
	copy(s.writeIV[:], k.ServerWriteIV)
	if x.RemoteSequenceNumber > 0 { // the engine counts the next one expected
		s.newest, s.window = x.RemoteSequenceNumber-1, 1
	}
	if len(x.RemoteConnectionID) > maxCID {
		return Session{}, fmt.Errorf("%w: connection identifier of %d bytes", ErrHandshake, len(x.RemoteConnectionID))
	}
	s.peerCIDLength = uint8(copy(s.peerCID[:], x.RemoteConnectionID)) //nolint:gosec // G115: at most maxCID
	if len(x.LocalConnectionID) == CIDLength {
		s.localCID, s.hasCID = [CIDLength]byte(x.LocalConnectionID), true
	}
	return s, nil
}
