package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/coap"
)

const (
	// ticketLife is how long a session may be resumed: a device that reports once a day
	// gets by without public-key cryptography, and a stolen one is not good for long.
	ticketLife = 25 * time.Hour
	// ticketKeyLife is how long one key seals tickets; it opens them until the last has
	// ended.
	ticketKeyLife = 5 * time.Hour
	ticketKeys    = int(ticketLife/ticketKeyLife) + 1
	ticketName    = 8   // bytes by which a ticket names its key
	maxTicket     = 900 // so that the last flight is one datagram
	maxTicketText = 300 // of the strings in a ticket
)

// A ticket is what a session needs to be resumed.
type ticket struct {
	suite      uint16
	master     [masterLength]byte
	born       int64 // Unix seconds of the full handshake
	serverName string
	identity   coap.Identity
	psk        []byte            // identity of a PSK session; nil: none
	pskHash    [sha256.Size]byte // of its key, so that a new key ends the session
	rawKey     []byte            // SubjectPublicKeyInfo of a session with a raw public key; nil: none
}

// marshal encodes t. It returns nil if a part is too long to be kept.
func (t *ticket) marshal() []byte {
	var b cryptobyte.Builder
	b.AddUint16(t.suite)
	b.AddBytes(t.master[:])
	b.AddUint64(uint64(t.born)) //nolint:gosec // G115: its bits
	b.AddBytes(t.identity.Certificate[:])
	b.AddBytes(t.pskHash[:])
	for _, text := range [][]byte{
		[]byte(t.serverName), []byte(t.identity.Role), []byte(t.identity.Name), t.psk, t.rawKey,
	} {
		if len(text) > maxTicketText {
			return nil
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(text) })
	}
	out, _ := b.Bytes() // never fails: every length was checked
	return out
}

// parseTicket reads what marshal wrote.
func parseTicket(b []byte) (*ticket, bool) {
	t, s := new(ticket), cryptobyte.String(b)
	var born uint64
	var name, role, who, psk, raw cryptobyte.String
	if !s.ReadUint16(&t.suite) || !s.CopyBytes(t.master[:]) || !s.ReadUint64(&born) ||
		!s.CopyBytes(t.identity.Certificate[:]) || !s.CopyBytes(t.pskHash[:]) ||
		!s.ReadUint16LengthPrefixed(&name) || !s.ReadUint16LengthPrefixed(&role) ||
		!s.ReadUint16LengthPrefixed(&who) || !s.ReadUint16LengthPrefixed(&psk) ||
		!s.ReadUint16LengthPrefixed(&raw) || len(s) != 0 {
		return nil, false
	}
	t.born = int64(born)
	t.serverName, t.identity.Role, t.identity.Name = string(name), coap.Role(role), string(who)
	if t.pskHash != [sha256.Size]byte{} {
		t.psk = append([]byte{}, psk...)
	}
	if len(raw) > 0 {
		t.rawKey = append([]byte{}, raw...)
	}
	return t, true
}

// A ticketKey seals tickets for a while.
type ticketKey struct {
	name [ticketName]byte
	aead cipher.AEAD
	born time.Time
}

// tickets seals and opens them (RFC 5077 §4) under keys that live in memory only:
// a restart of the program, like time, ends all of them.
type tickets struct {
	mu   sync.Mutex
	keys []ticketKey // the newest first
}

// seal returns t sealed, nil if it cannot be kept.
func (k *tickets) seal(t *ticket, now time.Time) []byte {
	plain := t.marshal()
	if plain == nil {
		return nil
	}
	key := k.newest(now)
	if key == nil {
		return nil
	}
	out := append([]byte{}, key.name[:]...)
	nonce := make([]byte, key.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails; one key seals far fewer than 2^32 tickets
	out = append(out, nonce...)
	if out = key.aead.Seal(out, nonce, plain, key.name[:]); len(out) > maxTicket {
		return nil
	}
	return out
}

// open returns the ticket that is sealed in b, nil if it is not ours or has ended.
func (k *tickets) open(b []byte, now time.Time) *ticket {
	if len(b) < ticketName || len(b) > maxTicket {
		return nil
	}
	key := k.named([ticketName]byte(b))
	if key == nil || len(b) < ticketName+key.aead.NonceSize() {
		return nil
	}
	nonce, sealed := b[ticketName:][:key.aead.NonceSize()], b[ticketName+key.aead.NonceSize():]
	plain, err := key.aead.Open(nil, nonce, sealed, key.name[:])
	if err != nil {
		return nil
	}
	t, ok := parseTicket(plain)
	if !ok || now.Unix()-t.born >= int64(ticketLife/time.Second) {
		return nil
	}
	return t
}

func (k *tickets) named(name [ticketName]byte) *ticketKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keys {
		if k.keys[i].name == name {
			return &k.keys[i]
		}
	}
	return nil
}

// newest returns the key of the day, and forgets those whose tickets have ended.
func (k *tickets) newest(now time.Time) *ticketKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) > 0 && now.Sub(k.keys[0].born) < ticketKeyLife {
		return &k.keys[0]
	}
	fresh, err := newTicketKey(now)
	if err != nil {
		return nil
	}
	keys := append([]ticketKey{fresh}, k.keys...) // a new array: others hold pointers into the old
	k.keys = keys[:min(len(keys), ticketKeys)]
	return &k.keys[0]
}

func newTicketKey(now time.Time) (ticketKey, error) {
	var secret [sha256.Size]byte
	_, _ = rand.Read(secret[:]) // never fails
	const keyLength = 16
	derived, err := hkdf.Key(sha256.New, secret[:], nil, "steward session ticket", keyLength+ticketName)
	if err != nil {
		return ticketKey{}, err
	}
	block, err := aes.NewCipher(derived[:keyLength])
	if err != nil {
		return ticketKey{}, err
	}
	key := ticketKey{name: [ticketName]byte(derived[keyLength:]), born: now}
	key.aead, err = cipher.NewGCM(block)
	return key, err
}

// appendTicket makes the body of a NewSessionTicket; an empty ticket says that there
// is none after all (RFC 5077 §3.3).
func ticketBody(sealed []byte) []byte {
	life := uint32(ticketLife / time.Second)
	if len(sealed) == 0 {
		life = 0
	}
	b := binary.BigEndian.AppendUint32(nil, life)
	b = binary.BigEndian.AppendUint16(b, uint16(len(sealed))) //nolint:gosec // G115: at most maxTicket
	return append(b, sealed...)
}
