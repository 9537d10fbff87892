package coordinator

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"steward/transfer"
)

// A Submission is the body of ActionInfo: the DeviceUpdateInfo, and the mandate
// that it names by its hash.
type Submission struct {
	Info     string `json:"info,omitempty"`      // JWS in compact form
	InfoCOSE []byte `json:"info_cose,omitempty"` // or COSE_Sign1, base64
	Mandate  []byte `json:"mandate"`             // COSE_Sign1, base64
}

// submission returns the body that carries the documents.
func submission(docs Documents) Submission {
	if transfer.IsCOSE(docs.Info) {
		return Submission{InfoCOSE: docs.Info, Mandate: docs.Mandate}
	}
	return Submission{Info: string(docs.Info), Mandate: docs.Mandate}
}

// The members of a Submission.
const (
	memberInfo    = "info"
	memberCOSE    = "info_cose"
	memberMandate = "mandate"
	maxMember     = 16 // bytes of a member's name
)

// ReadSubmission reads the documents from the JSON of a Submission of at most size
// bytes, each of them once and into memory of its own length: encoding/json would hold
// several copies of the longest. It returns ErrInvalid.
func ReadSubmission(r io.Reader, size int64) (Documents, error) {
	s := submissionReader{in: bufio.NewReader(io.LimitReader(r, size)), left: size}
	err := s.object()
	switch {
	case err != nil:
	case s.docs.Mandate == nil || s.docs.Info == nil:
		err = errors.New("a member is missing")
	case transfer.IsCOSE(s.docs.Info) != s.cose:
		err = errors.New("the information is in the wrong member")
	}
	if err != nil {
		return Documents{}, fmt.Errorf("%w: submission: %w", ErrInvalid, err)
	}
	return s.docs, nil
}

// A submissionReader reads one JSON object whose members are texts in ASCII
// (RFC 8259), of a kind that nobody need escape.
type submissionReader struct {
	in   *bufio.Reader
	left int64 // bytes that may still come: what a text may need
	docs Documents
	cose bool
}

var errJSON = errors.New("malformed JSON")

func (s *submissionReader) object() error {
	if c, err := s.mark(); err != nil || c != '{' {
		return errors.Join(errJSON, err)
	}
	for {
		if c, err := s.mark(); err != nil || c != '"' {
			return errors.Join(errJSON, err)
		}
		name, err := io.ReadAll(io.LimitReader(&jsonText{s: s}, maxMember+1))
		if err != nil {
			return err
		}
		if err := s.member(string(name)); err != nil {
			return err
		}
		switch c, err := s.mark(); {
		case err != nil:
			return errors.Join(errJSON, err)
		case c == '}':
			if _, err := s.mark(); !errors.Is(err, io.EOF) {
				return errors.Join(errors.New("more than one JSON value"), err)
			}
			return nil
		case c != ',':
			return errJSON
		}
	}
}

func (s *submissionReader) member(name string) error {
	for _, want := range []byte{':', '"'} {
		if c, err := s.mark(); err != nil || c != want {
			return errors.Join(errJSON, err)
		}
	}
	var text io.Reader = &jsonText{s: s}
	into := &s.docs.Info
	switch name {
	case memberMandate:
		into = &s.docs.Mandate
		text = base64.NewDecoder(base64.StdEncoding.Strict(), text)
	case memberCOSE:
		s.cose = true
		text = base64.NewDecoder(base64.StdEncoding.Strict(), text)
	case memberInfo:
	default:
		return fmt.Errorf("unknown member %.16q", name)
	}
	if *into != nil {
		return fmt.Errorf("member %q, or another in its place, stands twice", name)
	}
	// No more can come, and ReadFrom wants that room to see the end: it never grows.
	b := bytes.NewBuffer(make([]byte, 0, s.left+bytes.MinRead))
	if _, err := b.ReadFrom(text); err != nil {
		return err
	}
	*into = b.Bytes()
	if int64(b.Cap()) > 2*int64(b.Len()) { // the other one needs the room
		*into = bytes.Clone(b.Bytes())
	}
	return nil
}

// next returns the next byte.
func (s *submissionReader) next() (byte, error) {
	c, err := s.in.ReadByte()
	s.left--
	return c, err
}

// mark returns the next byte that is no white space.
func (s *submissionReader) mark() (byte, error) {
	for {
		c, err := s.next()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

// A jsonText yields what a JSON text says, from behind its first quote to its last.
type jsonText struct {
	s    *submissionReader
	over bool
}

// Read implements io.Reader.
func (t *jsonText) Read(p []byte) (n int, err error) {
	for n < len(p) && !t.over {
		c, err := t.s.next()
		switch {
		case errors.Is(err, io.EOF):
			return n, fmt.Errorf("%w: %w", errJSON, io.ErrUnexpectedEOF)
		case err != nil:
			return n, err
		case c == '"':
			t.over = true
			continue
		case c == '\\':
			if c, err = t.escaped(); err != nil {
				return n, err
			}
		}
		if c <= ' ' || c >= utf8.RuneSelf {
			return n, fmt.Errorf("byte %#x in a text of ASCII", c)
		}
		p[n] = c
		n++
	}
	if t.over && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// escaped reads what follows a backslash: some encoders write / and = so.
func (t *jsonText) escaped() (byte, error) {
	c, err := t.s.next()
	if err != nil {
		return 0, errors.Join(errJSON, err)
	}
	if c == '/' {
		return c, nil
	}
	if c != 'u' {
		return 0, fmt.Errorf("%w: escape %q", errJSON, c)
	}
	value := 0
	for range 4 {
		c, err := t.s.next()
		if err != nil {
			return 0, errors.Join(errJSON, err)
		}
		digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if digit < 0 || c < '0' {
			return 0, fmt.Errorf("%w: escape", errJSON)
		}
		value = value<<4 | digit
	}
	if value >= utf8.RuneSelf {
		return 0, fmt.Errorf("%w: escape", errJSON)
	}
	return byte(value), nil
}
