package doctor

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSkew is by how much clocks may differ: certificates are backdated by more.
	maxSkew = time.Minute
	// wantBuffer is what a burst of a fleet's messages needs in a socket, in bytes.
	wantBuffer = 4 << 20
	// wantFiles is for sockets of devices over TCP, browsers and partners.
	wantFiles = 4096
	// lowSpace and noSpace are what should be free on the disk, in bytes.
	lowSpace = 2 << 30
	noSpace  = 256 << 20
	percent  = 100
)

// shared reports whether others than the owner may use a file that is there.
func shared(name string) bool {
	const others = 0o077
	info, err := os.Stat(name)
	return err == nil && info.Mode().Perm()&others != 0
}

// clock compares the time with what cannot be later, and with others if asked to.
func (e *examination) clock() {
	const check, remedy = "clock", "set the clock, and keep it by NTP (timedatectl set-ntp true)"
	now := e.Now()
	switch {
	case !e.Built.IsZero() && now.Before(e.Built):
		e.add(check, Error, remedy, "it is %s, before this program was built (%s)",
			now.UTC().Format(time.RFC3339), e.Built.UTC().Format(time.RFC3339))
	default:
		e.ok(check, "it is %s", now.UTC().Format(time.RFC3339))
	}
	if e.TimeURL == "" {
		return
	}
	req, err := http.NewRequestWithContext(e.ctx, http.MethodHead, e.TimeURL, nil)
	if err == nil {
		var res *http.Response
		client := &http.Client{Timeout: e.Patience}
		if res, err = client.Do(req); err == nil {
			err = res.Body.Close()
			e.compareClock(check, remedy, res.Header.Get("Date"))
		}
	}
	if err != nil {
		e.add(check, Warning, "name a server that answers", "%s does not tell the time: %v", e.TimeURL, err)
	}
}

func (e *examination) compareClock(check, remedy, date string) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		e.add(check, Warning, "name another server", "%s sends no Date", e.TimeURL)
		return
	}
	skew := e.Now().Sub(theirs).Round(time.Second)
	if skew.Abs() > maxSkew {
		e.add(check, Error, remedy, "it differs by %v from that of %s", skew, e.TimeURL)
		return
	}
	e.ok(check, "it differs by %v from that of %s", skew, e.TimeURL)
}

// machine looks at what the kernel gives.
func (e *examination) machine() {
	var b [1]byte
	if _, err := unix.Getrandom(b[:], unix.GRND_NONBLOCK); err != nil {
		e.add("entropy", Error, "wait until the kernel has seeded its generator, or install one (rng-tools, virtio-rng)",
			"the kernel has no random numbers yet: %v", err)
	} else {
		e.ok("entropy", "the kernel's generator is seeded")
	}
	e.buffers()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		e.add("file descriptors", Warning, "", "their limit cannot be read: %v", err)
	} else if limit.Cur < wantFiles {
		e.add("file descriptors", Warning, "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
			"a process may have %d; %d are wanted", limit.Cur, wantFiles)
	} else {
		e.ok("file descriptors", "a process may have %d", limit.Cur)
	}
}

// buffers looks at what sockets may hold: a burst that does not fit is lost.
func (e *examination) buffers() {
	for _, name := range []string{"rmem_max", "wmem_max"} {
		text, err := os.ReadFile(filepath.Join("/proc/sys/net/core", name))
		if errors.Is(err, fs.ErrNotExist) { // not Linux, or a container that hides it
			continue
		}
		n, numberErr := strconv.Atoi(string(bytes.TrimSpace(text)))
		switch {
		case errors.Join(err, numberErr) != nil:
			e.add("socket buffers", Warning, "", "net.core.%s cannot be read: %v", name, errors.Join(err, numberErr))
		case n < wantBuffer:
			e.add("socket buffers", Warning, "sysctl -w net.core."+name+"="+strconv.Itoa(wantBuffer)+
				" (in /etc/sysctl.d to keep it); or the capability CAP_NET_ADMIN",
				"net.core.%s is %d bytes; bursts of many devices need %d", name, n, wantBuffer)
		default:
			e.ok("socket buffers", "net.core.%s is %d bytes", name, n)
		}
	}
}

// disk looks at the space for the database.
func (e *examination) disk() {
	const check, remedy = "disk space", "free or add space; steward backup and VACUUM need as much as the database has"
	at := e.Config.Data
	if _, err := os.Stat(at); err != nil {
		at = filepath.Dir(filepath.Clean(at))
	}
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		e.add(check, Warning, "", "%s: %v", at, err)
		return
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // G115: a block's size is positive
	share := percent * s.Bavail / max(s.Blocks, 1)
	switch {
	case s.Flags&unix.ST_RDONLY != 0:
		e.add(check, Error, "mount it for writing", "the disk of %s is read-only", at)
	case free < noSpace:
		e.add(check, Error, remedy, "%d MiB (%d %%) are free; when none is, new work is refused", free>>20, share)
	case free < lowSpace:
		e.add(check, Warning, remedy, "%d MiB (%d %%) are free", free>>20, share)
	default:
		e.ok(check, "%d MiB (%d %%) are free", free>>20, share)
	}
}
