package trial

import (
	"context"
	"net/url"

	"steward/lwm2m/dtls"
)

// Out and In let tests put the device's air between engines in memory.
func (d *Device) Out() int { return d.air.out() }

// In is the other way.
func (d *Device) In() bool { return d.air.in() }

// Relay is a relay of the device.
type Relay struct{ *relay }

// Relay opens a relay to a server.
func (d *Device) Relay(ctx context.Context, u *url.URL) (Relay, error) {
	r, err := newRelay(ctx, d.air, u, 0)
	return Relay{r}, err
}

// Addr is where the device sends to.
func (r Relay) Addr() string { return r.inner.LocalAddr().String() }

// Move takes another address, Close ends the relay.
func (r Relay) Move() error { return r.move() }

// Close ends it.
func (r Relay) Close() { r.close() }

// Credentials are what a device without a bundle dials an account by.
func Credentials(a Account) (dtls.ClientOptions, error) {
	u, err := url.Parse(a.URI)
	if err != nil {
		return dtls.ClientOptions{}, err
	}
	return dialer{o: &Options{}}.credentials(a, u)
}
