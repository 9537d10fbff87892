package transfer_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"steward/transfer"
)

// TestOpenInfo: what an info announces and what it holds must agree, and a signature is
// looked at before any device is.
func TestOpenInfo(t *testing.T) {
	w := newWorld(t)
	one := must(transfer.EncodeDevices([]transfer.DevicePair{w.pair()}))(t)[1:]
	base := w.infoHeader(t)
	head := func(first byte, more ...byte) []byte { return append([]byte{first}, more...) }
	long := append([]byte{0x5a, 0, 0x10, 0, 0}, make([]byte, 1<<20)...)
	many := binary.BigEndian.AppendUint16([]byte{0x99}, transfer.MaxDevices+1)
	for _, tt := range []struct {
		name    string
		payload []byte
		open    error // of OpenInfo
		read    error // of Devices
	}{
		{"one", append(head(0x81), one...), nil, nil},
		{"announces two", append(head(0x82), one...), nil, transfer.ErrSyntax},
		{"more behind", append(append(head(0x81), one...), one...), nil, transfer.ErrSyntax},
		{"twice", append(append(head(0x82), one...), one...), nil, transfer.ErrValue},
		{"a longer head", append(head(0x98, 1), one...), transfer.ErrSyntax, nil},
		{"a still longer head", append(head(0x99, 0, 1), one...), transfer.ErrSyntax, nil},
		{"indefinite", append(append(head(0x9f), one...), 0xff), transfer.ErrSyntax, nil},
		{"none", head(0x80), transfer.ErrValue, nil},
		{"too many, of which none comes", many, transfer.ErrValue, nil},
		{"a map", head(0xa0), transfer.ErrSyntax, nil},
		{"nothing", nil, transfer.ErrSyntax, nil},
		{"a device that is no pair", head(0x81, 0x01), nil, transfer.ErrSyntax},
		{"a device of a megabyte", append(head(0x81), long...), nil, transfer.ErrTooLarge},
	} {
		s, err := transfer.OpenInfo(jwsOf(t, base, tt.payload, w.sp1), w.sp1.cert)
		if !errors.Is(err, tt.open) {
			t.Errorf("%s: OpenInfo = %v, want %v", tt.name, err, tt.open)
		}
		if err == nil {
			if _, err := s.All(); !errors.Is(err, tt.read) {
				t.Errorf("%s: All = %v, want %v", tt.name, err, tt.read)
			}
		}
		if _, err := transfer.OpenInfo(jwsOf(t, base, tt.payload, w.sp2), w.sp1.cert); err == nil ||
			tt.open == nil && !errors.Is(err, transfer.ErrSignature) {
			t.Errorf("%s, signed by another: %v", tt.name, err)
		}
	}
	good := jwsOf(t, base, append(head(0x81), one...), w.sp1)
	dot := bytes.LastIndexByte(good, '.')
	broken := append(append(bytes.Clone(good[:dot-4]), '\n'), good[dot-4:]...) // decoders would skip it
	if _, err := transfer.OpenInfo(broken, w.sp1.cert); !errors.Is(err, transfer.ErrSyntax) {
		t.Errorf("with a line break: %v", err)
	}
}

// TestInfoStreamJudges: the verdicts are those of the whole, told in order.
func TestInfoStreamJudges(t *testing.T) {
	w := newWorld(t)
	mandate := must(transfer.VerifyMandate(must(w.mandate().Sign(w.user.signer()))(t), w.user.cert))(t)
	info := w.info(mandate.Hash)
	other := w.pair()
	other.Factory = transfer.FactoryCert{X5T: &transfer.CertHash{Alg: transfer.SHA256, Value: make([]byte, 32)}}
	info.Devices = append(info.Devices, other)
	raw := must(info.Sign(w.sp1.signer()))(t)
	s := must(transfer.OpenInfo(raw, w.sp1.cert))(t)
	var told []transfer.Verdict
	answer := must(s.Judge(mandate, "Beta", noon, nil, func(_ transfer.DevicePair, v transfer.Verdict) error {
		told = append(told, v)
		return nil
	}))(t)
	whole := must(transfer.JudgeInfo(must(transfer.VerifyInfo(raw, w.sp1.cert))(t), mandate, "Beta", noon, nil))(t)
	if len(told) != 2 || s.Len != 2 || told[1] != answer.Devices[1] || told[1].Reason != "not in the mandate" ||
		told[0] != whole.Devices[0] || answer.Info != whole.Info {
		t.Errorf("Judge = %+v, told %v, want %+v", answer, told, whole)
	}
	stop := errors.New("stop")
	if _, err := s.Judge(mandate, "Beta", noon, nil, func(transfer.DevicePair, transfer.Verdict) error {
		return stop
	}); !errors.Is(err, stop) {
		t.Errorf("Judge = %v, want what it was told", err)
	}
	if first, err := s.First(); err != nil || first.Factory.X5Chain == nil {
		t.Errorf("First = %+v, %v", first, err)
	}
}
