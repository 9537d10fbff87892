package journal

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"os"
)

// A file holds the frames of one generation, each sealed under a key of this
// file alone with its number for a nonce.
type file struct {
	*os.File

	aead     cipher.AEAD
	frames   uint64 // written, the number of the next nonce
	size     int64
	unusable bool // it ends with a part of a frame
	sealed   []byte
}

func createFile(path string, key [keySize]byte) (*file, error) {
	aead, err := aeadOf(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &file{File: f, aead: aead}, nil
}

// write seals and writes one frame. When it fails for another reason than
// ErrFrame, it fails from then on: a part of the frame may be there.
func (f *file) write(frame []byte) error {
	if f.unusable {
		return ErrClosed
	}
	var err error
	if f.sealed, err = f.seal(f.sealed[:0], frame); err != nil {
		return err
	}
	n, err := f.Write(f.sealed)
	f.size += int64(n)
	f.unusable = err != nil
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// seal appends a frame as it lies in the file. It returns ErrFrame.
func (f *file) seal(dst, frame []byte) ([]byte, error) {
	if len(frame) > MaxFrame {
		return dst, fmt.Errorf("%w: %d bytes", ErrFrame, len(frame))
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(frame)+tagSize)) //nolint:gosec // G115: at most MaxFrame
	dst = f.aead.Seal(dst, nonceOf(f.frames), frame, nil)
	f.frames++
	return dst, nil
}

// open decrypts the frames of a file, in place, up to the first that is not
// whole.
func (f *file) open(raw []byte) (frames [][]byte, torn bool) {
	for len(raw) > 0 {
		if len(raw) < lengthSize {
			return frames, true
		}
		n := int(binary.BigEndian.Uint32(raw))
		if n < tagSize || n > MaxFrame+tagSize || len(raw)-lengthSize < n {
			return frames, true
		}
		sealed := raw[lengthSize : lengthSize+n]
		frame, err := f.aead.Open(sealed[:0], nonceOf(uint64(len(frames))), sealed, nil)
		if err != nil {
			return frames, true
		}
		frames, raw = append(frames, frame), raw[lengthSize+n:]
	}
	return frames, false
}
