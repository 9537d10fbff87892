package peer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"steward/transfer"
)

// maxSmall bounds the bodies about one device: two receipts and their frame. Longer ones
// are about a transfer.
const maxSmall = 64 << 10

// A spool is the body of a large call in a file that has no name: while a slow partner
// sends, it takes no memory.
type spool struct {
	file *os.File
	body *io.SectionReader
}

// newSpool reads a body of at most transfer.MaxBatch bytes into a file in dir. It
// returns errTooLarge, errCut or errSlow; Close the result.
func newSpool(dir string, w http.ResponseWriter, r *http.Request) (*spool, error) {
	if r.ContentLength > transfer.MaxBatch {
		return nil, fmt.Errorf("%w: %d bytes, at most %d may be", errTooLarge, r.ContentLength, transfer.MaxBatch)
	}
	file, err := os.CreateTemp(dir, "peer-*")
	if err != nil {
		return nil, err
	}
	s := &spool{file: file}
	if err := os.Remove(file.Name()); err != nil { // its bytes end with the descriptor, or the process
		return nil, errors.Join(err, s.Close())
	}
	n, err := io.Copy(file, http.MaxBytesReader(w, r.Body, transfer.MaxBatch))
	if err != nil {
		return nil, errors.Join(unread(err), s.Close())
	}
	s.body = io.NewSectionReader(file, 0, n)
	return s, nil
}

// Close frees the file.
func (s *spool) Close() error { return s.file.Close() }

// unread says why a body could not be read.
func unread(err error) error {
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return fmt.Errorf("%w: %w", errTooLarge, err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	return fmt.Errorf("%w: %w", errCut, err)
}
