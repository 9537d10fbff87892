package trial_test

import (
	"net"
	"net/url"
	"testing"
	"time"

	"steward/cmd/internal/sim/trial"
)

// A relay carries datagrams both ways, and from another address when told to.
func TestRelay(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	d, err := trial.New(trial.Options{Endpoint: "a", Servers: []string{"coap://127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Relay(t.Context(), &url.URL{Scheme: "coap", Host: server.LocalAddr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	device, err := net.Dial("udp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()
	buffer, seen := make([]byte, 16), map[string]bool{}
	for range 2 {
		for _, c := range []net.Conn{device, server} {
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := device.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		n, from, err := server.ReadFromUDP(buffer)
		if err != nil || string(buffer[:n]) != "ping" {
			t.Fatalf("server got %q, %v", buffer[:n], err)
		}
		seen[from.String()] = true
		if _, err := server.WriteToUDP([]byte("pong"), from); err != nil {
			t.Fatal(err)
		}
		if n, err = device.Read(buffer); err != nil || string(buffer[:n]) != "pong" {
			t.Fatalf("device got %q, %v", buffer[:n], err)
		}
		if err := r.Move(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("the server saw %d addresses, want 2", len(seen))
	}
}
