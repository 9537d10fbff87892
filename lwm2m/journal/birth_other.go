//go:build unix && !linux

package journal

import (
	"encoding/binary"
	"os"
	"syscall"
)

// birth tells the file from most copies of it, by its number on the file system.
func birth(f *os.File) (out [birthSize]byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return out, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		binary.BigEndian.PutUint64(out[:], uint64(s.Ino))
	}
	return out, nil
}
