package esthttp_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"steward/est/esthttp"
)

// FuzzDecodeBody: a body that is read is shorter than its text, reads the same
// however it is broken into lines, and comes back from what we write.
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{
		"", " ", "MA==", "MAA=\r\n", "TQ", "T Q = =", "TR==", "-_-_", "MA==MA==", "MA==x", "\x00", "====",
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30, 0x82}, 60)),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := esthttp.DecodeBody(in)
		if err != nil {
			if !errors.Is(err, esthttp.ErrBody) {
				t.Errorf("DecodeBody(%q) = %v, want ErrBody", in, err)
			}
			return
		}
		if len(out) == 0 || len(out) > len(in) {
			t.Errorf("DecodeBody(%q) gives %d bytes", in, len(out))
		}
		written := esthttp.EncodeBody(out)
		if again, err := esthttp.DecodeBody(written); err != nil || !bytes.Equal(again, out) {
			t.Errorf("DecodeBody(EncodeBody(%x)) = %x, %v", out, again, err)
		}
		if _, err := esthttp.DecodeBody(bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n \t"))); err != nil {
			t.Errorf("with other white space: %v", err)
		}
		for line := range bytes.Lines(written) {
			if len(line) > 65 || line[len(line)-1] != '\n' {
				t.Errorf("line of %d bytes", len(line))
			}
		}
	})
}
