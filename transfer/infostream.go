package transfer

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/fxamacker/cbor/v2"
)

// An InfoStream is a DeviceUpdateInfo whose devices are decoded one after another: what
// it takes in memory beside the document does not grow with their certificates.
type InfoStream struct {
	// Head is the info without its devices.
	Head Signed[Info]
	// Len is the number of devices that it announces, 1 … MaxDevices.
	Len int

	devices func() io.Reader // the payload behind the head of its array
}

// OpenInfo reads what an info says of itself and checks that by has signed it, before
// anything of its devices is decoded. raw must not change while the result is used. Its
// errors are those of VerifyInfo.
func OpenInfo(raw []byte, by *x509.Certificate) (*InfoStream, error) {
	s, object, err := openInfo(raw)
	if err != nil {
		return nil, err
	}
	if err := object.by(by); err != nil {
		return nil, err
	}
	return s, nil
}

// An infoObject is the signed form of an info.
type infoObject interface {
	// by returns nil if that certificate's key has signed it, else ErrSigner or
	// ErrSignature.
	by(c *x509.Certificate) error
	// payload returns what was signed beside the header, from its begin.
	payload() io.Reader
}

func openInfo(raw []byte) (*InfoStream, infoObject, error) {
	if len(raw) > MaxBatch {
		return nil, nil, fmt.Errorf("transfer: info of %d bytes: %w", len(raw), ErrTooLarge)
	}
	open := openJWS
	if IsCOSE(raw) {
		open = openInfoCOSE
	}
	head, object, err := open(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := head.Body.validateHead(); err != nil {
		return nil, nil, err
	}
	s := &InfoStream{Head: head}
	length := 0
	if s.Len, length, err = arrayHead(object.payload()); err != nil {
		return nil, nil, err
	}
	s.devices = func() io.Reader {
		r := object.payload()
		_, _ = io.CopyN(io.Discard, r, int64(length)) // an error comes again with the next read
		return r
	}
	return s, object, nil
}

// Devices yields the devices in the order of the info. An error is the last of all: the
// info is refused as a whole.
func (s *InfoStream) Devices() iter.Seq2[DevicePair, error] {
	return func(yield func(DevicePair, error) bool) {
		seen := make(map[Hash]bool, s.Len)
		d := strict.Decoder(s.devices())
		for i := range s.Len {
			pair, err := nextDevice(d, seen)
			if err != nil {
				yield(pair, fmt.Errorf("device %d: %w", i, err))
				return
			}
			if !yield(pair, nil) {
				return
			}
		}
		var more cbor.RawMessage
		if err := d.Decode(&more); !errors.Is(err, io.EOF) {
			yield(DevicePair{}, fmt.Errorf("transfer: more than %d devices: %w", s.Len, ErrSyntax))
		}
	}
}

// First returns the first device.
func (s *InfoStream) First() (first DevicePair, err error) {
	for first, err = range s.Devices() {
		break
	}
	return first, err
}

// All returns the info with all its devices.
func (s *InfoStream) All() (*Signed[Info], error) {
	whole := s.Head
	for pair, err := range s.Devices() {
		if err != nil {
			return nil, err
		}
		whole.Body.Devices = append(whole.Body.Devices, pair)
	}
	return &whole, nil
}

// nextDevice reads one device. seen are the hashes of those before.
func nextDevice(d *cbor.Decoder, seen map[Hash]bool) (pair DevicePair, err error) {
	var raw cbor.RawMessage
	if err := d.Decode(&raw); err != nil {
		return pair, fmt.Errorf("transfer: %w: %w", ErrSyntax, err)
	}
	if err := decode(raw, MaxSmall, &pair); err != nil {
		return pair, err
	}
	if err := pair.validate(); err != nil {
		return pair, err
	}
	key, err := pair.Factory.Hash()
	if err != nil { // it is judged, and refused, by what it holds
		key = HashOf(append(bytes.Clone(pair.Factory.C5C), pair.Factory.X5Chain...))
	}
	if seen[key] {
		return pair, fmt.Errorf("transfer: it stands twice: %w", ErrValue)
	}
	seen[key] = true
	return pair, nil
}

// Heads of arrays (RFC 8949 §3): the major type, and the forms that say how long the
// number behind it is.
const (
	majorArray = 4
	formShort  = 24 // one byte follows
	formLong   = 25 // two do
)

// arrayHead reads the head of an array of devices, in its shortest form. It returns how
// many there are and how long the head is.
func arrayHead(r io.Reader) (n, length int, err error) {
	var b [3]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return 0, 0, fmt.Errorf("transfer: devices: %w: %w", ErrSyntax, err)
	}
	form := b[0] & 0x1f
	length = 1
	if form == formShort || form == formLong {
		length += int(form-formShort) + 1
	}
	if _, err := io.ReadFull(r, b[1:length]); err != nil {
		return 0, 0, fmt.Errorf("transfer: devices: %w: %w", ErrSyntax, err)
	}
	least := 0
	switch form {
	case formShort:
		n, least = int(b[1]), formShort
	case formLong:
		n, least = int(b[1])<<8|int(b[2]), 1<<8
	default:
		n = int(form)
	}
	switch {
	case b[0]>>5 != majorArray || form > formLong || n < least:
		return 0, 0, fmt.Errorf("transfer: devices: %w", ErrSyntax)
	case n == 0 || n > MaxDevices:
		return 0, 0, fmt.Errorf("transfer: %d devices: %w", n, ErrValue)
	}
	return n, length, nil
}

// base64Of decodes text as it is read. Its signature is over the text: a line break,
// which decoders skip, must be refused before.
func base64Of(text []byte) io.Reader {
	return base64.NewDecoder(base64.RawURLEncoding.Strict(), bytes.NewReader(text))
}
