package bench

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// socketBuffer is asked of the kernel for each direction of a socket, as the
// server's transport does.
const socketBuffer = 4 << 20

// Echo is the process of the floor: it sends each datagram back, and does the
// cryptography of handshakes when told so. It prints its address.
func Echo(ctx context.Context, in io.Reader, out io.Writer) error {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	widen(socket)
	done := make(chan error, 1)
	go func() { done <- echo(socket) }()
	_, err = fmt.Fprintf(out, "coaps://%s\n", socket.LocalAddr())
	if err == nil {
		err = (&controller{}).obey(ctx, in, out)
	}
	return errors.Join(err, socket.Close(), <-done)
}

// widen asks for big buffers. What the kernel gives is enough for a start.
func widen(socket *net.UDPConn) {
	_ = socket.SetReadBuffer(socketBuffer)
	_ = socket.SetWriteBuffer(socketBuffer)
}

// echo has one reader, as the server's socket does.
func echo(socket *net.UDPConn) error {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = socket.WriteToUDPAddrPort(buffer[:n], from)
		if err != nil && !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
}

// HandshakeFloor returns the CPU time of what no server can leave out of a mutual
// ECDHE_ECDSA handshake on P-256: an ephemeral key, its signature, the shared
// secret, and two verifications, of the client's certificate and of its proof.
func HandshakeFloor() (time.Duration, error) {
	const rounds = 500
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	peer, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("what is signed"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin, err := threadCPU()
	if err != nil {
		return 0, err
	}
	for range rounds {
		if err := bareHandshake(key, peer.PublicKey(), digest, signature); err != nil {
			return 0, err
		}
	}
	end, err := threadCPU()
	return (end - begin) / rounds, err
}

var errSignature = errors.New("signature does not verify")

func bareHandshake(key *ecdsa.PrivateKey, peer *ecdh.PublicKey, digest [32]byte, signature []byte) error {
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
		return err
	}
	if _, err := ephemeral.ECDH(peer); err != nil {
		return err
	}
	for range 2 {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return errSignature
		}
	}
	return nil
}

// threadCPU is the CPU time of this thread.
func threadCPU() (time.Duration, error) {
	const rusageThread = 1 // RUSAGE_THREAD, getrusage(2)
	var r syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &r); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}
