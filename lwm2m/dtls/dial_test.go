package dtls_test

import (
	"errors"
	"net"
	"testing"

	"steward/lwm2m/dtls"
)

var anyAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5684}

func TestDialNeedsVerify(t *testing.T) {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dtls.Dial(t.Context(), socket, anyAddr, dtls.ClientOptions{}, 0); !errors.Is(err, dtls.ErrNoVerify) {
		t.Errorf("Dial = %v, want %v", err, dtls.ErrNoVerify)
	}
	if err := socket.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket was left open: Close = %v", err)
	}
}
