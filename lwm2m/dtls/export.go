package dtls

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"fmt"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
)

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

// session derives the client's record keys (RFC 5246 §6.3).
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
	k, err := prf.GenerateEncryptionKeys(x.MasterSecret, x.LocalRandom[:], x.RemoteRandom[:], 0, keyLength, ivLength,
		sha256.New)
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	copy(s.readKey[:], k.ServerWriteKey)
	copy(s.writeKey[:], k.ClientWriteKey)
	copy(s.readIV[:], k.ServerWriteIV)
	copy(s.writeIV[:], k.ClientWriteIV)
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
