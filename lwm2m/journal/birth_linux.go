package journal

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// birth tells the file from any copy of it: its number on the file system, and
// where the file system knows it, the time when it was made, which no program
// can set.
func birth(f *os.File) (out [birthSize]byte, err error) {
	var s unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &s); err != nil {
		return out, os.NewSyscallError("statx", err)
	}
	binary.BigEndian.PutUint64(out[:], s.Ino)
	if s.Mask&unix.STATX_BTIME != 0 {
		binary.BigEndian.PutUint64(out[8:], uint64(s.Btime.Sec)) //nolint:gosec // G115: only compared
		binary.BigEndian.PutUint32(out[16:], s.Btime.Nsec)
	}
	return out, nil
}
