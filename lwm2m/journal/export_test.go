package journal

import "testing"

// OtherHost makes j, when it is written next, look as if another run of the
// host had written it.
func OtherHost(j *Journal) { j.boot = "another" }

// OpenFrames decrypts what a journal file of an all-zero key would hold.
func OpenFrames(tb testing.TB, raw []byte) (frames [][]byte, torn bool) {
	tb.Helper()
	aead, err := aeadOf([keySize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	return (&file{aead: aead}).open(raw)
}

// SealFrames is the inverse of OpenFrames.
func SealFrames(tb testing.TB, frames [][]byte) []byte {
	tb.Helper()
	aead, err := aeadOf([keySize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	var raw []byte
	x := &file{aead: aead}
	for _, f := range frames {
		if raw, err = x.seal(raw, f); err != nil {
			tb.Fatal(err)
		}
	}
	return raw
}

// Break makes writes to the file of j fail until it is rewritten.
func Break(j *Journal) error { return j.now.Close() }
