package transport

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxIncoming is room for one datagram and a byte, so that a longer one is seen.
const maxIncoming = MaxDatagram + recordOverhead + 1

// controlSize is room for one control message, the time stamp.
const controlSize = 64

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// An inbox reads a batch of datagrams at a time.
type inbox struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) bool
	hand    func(n int)
	n       int // of the messages, those that were read last
	errno   syscall.Errno

	messages [batchLength]mmsghdr
	vectors  [batchLength]unix.Iovec
	names    [batchLength]unix.RawSockaddrInet6
	controls [batchLength][controlSize]byte
	bytes    [batchLength][maxIncoming]byte
}

func newInbox(_ *net.UDPConn, raw syscall.RawConn) *inbox {
	b := &inbox{raw: raw, n: batchLength}
	for i := range b.messages {
		b.vectors[i].Base = &b.bytes[i][0]
		b.vectors[i].SetLen(maxIncoming)
		h := &b.messages[i].header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i])) //nolint:gosec // G103: the kernel takes an address
		h.Control = &b.controls[i][0]
	}
	b.attempt = b.try // once, so that receive allocates nothing
	return b
}

// receive waits for datagrams and calls hand with the number of those it has read,
// again and again until there is an error, or so many that more may be waiting.
func (b *inbox) receive(hand func(n int)) error {
	b.hand = hand
	if err := b.raw.Read(b.attempt); err != nil {
		return err
	}
	if b.errno != 0 {
		return os.NewSyscallError("recvmmsg", b.errno)
	}
	return nil
}

// try hands over what is there, and reports whether to come back at once. A batch
// that is not full has emptied the socket: whatever comes afterwards wakes us, and
// asking the kernel once more would be for nothing.
func (b *inbox) try(fd uintptr) bool {
	for i := range b.n { // those that were written to
		h := &b.messages[i].header
		h.Namelen, h.Flags = unix.SizeofSockaddrInet6, 0
		h.SetControllen(controlSize)
	}
	b.n = 0
	for {
		//nolint:gosec // G103: the kernel takes an address
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.messages[0])), batchLength,
			unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return false
		case errno != 0:
			b.errno = errno
			return true
		}
		b.n, b.errno = int(n), 0
		b.hand(b.n)
		return b.n == batchLength
	}
}

// datagram returns what was read, where it came from, when the kernel received
// it (0: it was not asked to say), and whether it is whole.
func (b *inbox) datagram(i int) (datagram []byte, from address, stamp int64, whole bool) {
	m := &b.messages[i]
	return b.bytes[i][:m.length], fromSockaddr(&b.names[i]), stampOf(b.controls[i][:], &m.header),
		m.header.Flags&unix.MSG_TRUNC == 0 && m.length < maxIncoming
}

// fromSockaddr reads an address of either family.
func fromSockaddr(raw *unix.RawSockaddrInet6) (a address) {
	if raw.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw)) //nolint:gosec // G103: the family says what it is
		a.ip[10], a.ip[11] = 0xff, 0xff
		copy(a.ip[12:], four.Addr[:])
		a.port = ntohs(four.Port)
		return a
	}
	a.ip, a.port = raw.Addr, ntohs(raw.Port)
	if a.ip[0] == 0xfe && a.ip[1]&0xc0 == 0x80 { // link-local
		a.zone = uint16(raw.Scope_id) //nolint:gosec // G115: the kernel numbers interfaces from 1
	}
	return a
}

// toSockaddr writes an address for a socket of either family, and returns its length.
func toSockaddr(raw *unix.RawSockaddrInet6, a address, six bool) uint32 {
	if six {
		*raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: ntohs(a.port), Addr: a.ip, Scope_id: uint32(a.zone)}
		return unix.SizeofSockaddrInet6
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw)) //nolint:gosec // G103: it is shorter
	*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: ntohs(a.port), Addr: [4]byte(a.ip[12:])}
	return unix.SizeofSockaddrInet4
}

// ntohs turns a port as the kernel has it in memory into a number, or back.
func ntohs(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// stampOf reads the kernel's time stamp in Unix nanoseconds, 0 if there is none.
// Only the layout of 64-bit systems is known here.
func stampOf(control []byte, h *unix.Msghdr) int64 {
	const data, length = 16, 32 // after length, level and type of the control message: seconds, nanoseconds
	if h.Controllen < length || unix.SizeofCmsghdr != data ||
		binary.NativeEndian.Uint32(control[8:]) != unix.SOL_SOCKET ||
		binary.NativeEndian.Uint32(control[12:]) != unix.SCM_TIMESTAMPNS {
		return 0
	}
	seconds := binary.NativeEndian.Uint64(control[data:])
	return int64(seconds)*1e9 + int64(binary.NativeEndian.Uint64(control[data+8:])) //nolint:gosec // G115: a time
}

// mail is how an outbox is written.
type mail struct {
	raw      syscall.RawConn
	six      bool
	attempt  func(fd uintptr) bool
	from, to int // of the messages, those that are not written yet
	errno    syscall.Errno

	messages [batchLength]mmsghdr
	vectors  [batchLength]unix.Iovec
	names    [batchLength]unix.RawSockaddrInet6
}

func (m *mail) init(_ *net.UDPConn, raw syscall.RawConn, six bool) {
	m.raw, m.six = raw, six
	for i := range m.messages {
		h := &m.messages[i].header
		h.Iov = &m.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&m.names[i])) //nolint:gosec // G103: the kernel takes an address
	}
	m.attempt = m.try // once, so that write allocates nothing
}

// write writes all datagrams, marks those that the kernel refused, and returns
// their number.
func (o *outbox) write() (failed int) {
	for i := range o.items {
		x := &o.items[i]
		o.vectors[i].Base = unsafe.SliceData(o.bytes[x.begin:x.end]) //nolint:gosec // G103: the kernel takes an address
		o.vectors[i].SetLen(x.end - x.begin)
		o.messages[i].header.Namelen = toSockaddr(&o.names[i], x.to, o.six)
	}
	o.from, o.to = 0, len(o.items)
	for o.from < o.to {
		err := o.raw.Write(o.attempt)
		if err == nil && o.errno == 0 {
			continue
		}
		last := o.from + 1 // the kernel refused this one
		if err != nil {    // the socket is closed
			last = o.to
		}
		for ; o.from < last; o.from++ {
			o.items[o.from].failed = true
			failed++
		}
	}
	return failed
}

// try writes as many datagrams as it can and reports whether that makes sense to
// go on without waiting.
func (m *mail) try(fd uintptr) bool {
	for {
		//nolint:gosec // G103: the kernel takes an address
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&m.messages[m.from])),
			uintptr(m.to-m.from), unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // G115: a batch
		if errno == unix.EINTR {
			continue
		}
		if m.errno = errno; errno == 0 {
			m.from += int(n)
		}
		return errno != unix.EAGAIN
	}
}
