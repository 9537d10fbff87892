package esthttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// ErrBody reports a body that is not one value in base64.
var ErrBody = errors.New("body is not base64")

// lineLength is that of the lines we send: what every base64 tool reads.
const lineLength = 64

// decodeBody reads base64 (RFC 4648 §4) and passes over white space, which
// receivers tolerate, whatever Content-Transfer-Encoding says (RFC 8951 §3, §3.1). It
// returns ErrBody for anything else: another alphabet, bits left over, text after
// the padding, or nothing.
func decodeBody(text []byte) ([]byte, error) {
	packed := make([]byte, 0, len(text))
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			packed = append(packed, c)
		}
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Strict().Decode(out, packed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrBody)
	}
	return out[:n], nil
}

// encodeBody writes base64 in lines that end in a line feed.
func encodeBody(der []byte) []byte {
	text := base64.StdEncoding.EncodeToString(der)
	out := make([]byte, 0, len(text)+len(text)/lineLength+1)
	for len(text) > 0 {
		n := min(len(text), lineLength)
		out = append(out, text[:n]...)
		out = append(out, '\n')
		text = text[n:]
	}
	return out
}

// send answers with der in base64. The header that RFC 8951 §3 abolishes is for
// the clients that came before it.
func send(w http.ResponseWriter, mediaType string, der []byte) {
	body := encodeBody(der)
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Transfer-Encoding", "base64")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: nothing to do
}
