package transport

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenGroup binds sockets to one address, of which the first must be alone
// there: another program, or another listener of this one, is an error.
func listenGroup(addr *net.UDPAddr, n int) (group []*net.UDPConn, err error) {
	defer func() {
		if err != nil {
			for _, c := range group {
				err = errors.Join(err, c.Close())
			}
			group = nil
		}
	}()
	first, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	group = append(group, first)
	if n == 1 {
		return group, nil
	}
	if err := control(first, reusePort); err != nil {
		return group, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = reusePort(fd) }), err)
	}}
	for len(group) < n {
		c, err := config.ListenPacket(context.Background(), "udp", first.LocalAddr().String())
		if err != nil {
			return group, err
		}
		udp, ok := c.(*net.UDPConn)
		if !ok {
			return group, errors.Join(net.UnknownNetworkError("udp"), c.Close())
		}
		group = append(group, udp)
	}
	return group, nil
}

func reusePort(fd uintptr) error {
	return setOption(fd, unix.SO_REUSEPORT, 1)
}

func setOption(fd uintptr, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value))
}

// control calls f with the descriptor of a socket.
func control(c *net.UDPConn, f func(fd uintptr) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(raw.Control(func(fd uintptr) { inner = f(fd) }), inner)
}

// setBuffers asks for large socket buffers, beyond the kernel's cap
// (net.core.rmem_max) where we may. It is best effort: a smaller buffer loses
// datagrams only sooner.
func setBuffers(c *net.UDPConn) {
	_ = control(c, func(fd uintptr) error {
		for forced, plain := range map[int]int{
			unix.SO_RCVBUFFORCE: unix.SO_RCVBUF, unix.SO_SNDBUFFORCE: unix.SO_SNDBUF,
		} {
			if setOption(fd, forced, bufferSize) != nil {
				_ = setOption(fd, plain, bufferSize)
			}
		}
		return nil
	})
}

// stampReceived asks the kernel to say of each datagram when it came.
func stampReceived(c *net.UDPConn) error {
	return control(c, func(fd uintptr) error {
		return setOption(fd, unix.SO_TIMESTAMPNS, 1)
	})
}

// account returns what the kernel tells of a socket, zeros when it does not: the
// sizes of its buffers, and how many datagrams found no room in the one for
// receiving.
func account(c *net.UDPConn) (receive, send int, overflow uint64) {
	const receiveAt, sendAt, dropsAt = 1, 3, 8 // SK_MEMINFO_RCVBUF, SK_MEMINFO_SNDBUF, SK_MEMINFO_DROPS
	var info [dropsAt + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	err := control(c, func(fd uintptr) error {
		//nolint:gosec // G103: the kernel takes an address
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return 0, 0, 0
	}
	return int(info[receiveAt]), int(info[sendAt]), uint64(info[dropsAt])
}
