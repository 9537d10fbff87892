package handshake_test

import (
	"bytes"
	"crypto"
	"os"
	"testing"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// lockstep is a wire whose server works in the test's own goroutine.
type lockstep struct {
	*stage

	waiting [][]byte
	change  func(n int, d []byte) [][]byte // of the server's datagrams
	n       int
}

func (w *lockstep) Send(d []byte) error {
	for _, d := range w.post(somewhere, bytes.Clone(d)) {
		w.waiting = append(w.waiting, w.change(w.n, d)...)
		w.n++
	}
	return nil
}

func (w *lockstep) Receive(time.Time) ([]byte, error) {
	if len(w.waiting) == 0 {
		return nil, os.ErrClosed // nobody repeats anything here
	}
	d := w.waiting[0]
	w.waiting = w.waiting[1:]
	return d, nil
}

// FuzzConnect changes a byte of what a real server says, and puts a datagram before
// it. Where both sides think that they agree, they do.
func FuzzConnect(f *testing.F) {
	creds := newCredentials(f)
	s := newStage(f, rawCredentials{creds}, nil)
	key, _ := creds.client.PrivateKey.(crypto.Signer)
	all := []dtls.ClientOptions{
		{Certificate: creds.client, Verify: trust, CID: true, ServerName: "sp.example"},
		{PSKIdentity: []byte("dev-1"), PSK: creds.psk["dev-1"]},
		{RawKey: key, VerifyKey: func([]byte) error { return nil }},
	}
	for i := range all {
		for n := range uint8(3) {
			f.Add(uint8(i), n, uint16(30), byte(1), []byte(nil))
			f.Add(uint8(i), n, uint16(90), byte(0), []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40})
			f.Add(uint8(i), n, uint16(70), byte(0x80), []byte{20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1})
		}
	}
	f.Fuzz(func(t *testing.T, kind, datagram uint8, at uint16, flip byte, extra []byte) {
		s.outcomes = nil
		w := &lockstep{stage: s, change: func(n int, d []byte) [][]byte {
			if n != int(datagram) {
				return [][]byte{d}
			}
			d[int(at)%len(d)] ^= flip
			return [][]byte{bytes.Clone(extra), d}
		}}
		e, _, err := handshake.Connect(t.Context(), w, all[int(kind)%len(all)], nil, time.Hour)
		for _, o := range s.outcomes {
			if err == nil && o.Established != nil {
				talk(t, &e.Session, &o.Session)
			}
		}
		end(t, s)
		s.late = nil
	})
}

// FuzzServerMessages reads every message that servers send.
func FuzzServerMessages(f *testing.F) {
	f.Add([]byte{0xfe, 0xff, 2, 1, 2})
	f.Add(append(append([]byte{0xfe, 0xfd}, make([]byte, 32)...), 0, 0xc0, 0xae, 0, 0, 4, 0, 23, 0, 0))
	f.Add([]byte{3, 0, 23, 1, 4, 4, 3, 0, 1, 9})
	f.Add([]byte{1, 64, 0, 2, 4, 3, 0, 0})
	f.Fuzz(func(_ *testing.T, in []byte) { handshake.ParseServer(in) })
}
