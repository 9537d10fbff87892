package transport

import (
	"net"
	"time"

	"steward/lwm2m/coap"
)

// ServeStream serves one stream as a listener would, without a listener.
func ServeStream(c net.Conn, e *coap.Engine, handshake, idle time.Duration) error {
	f := newFramed(c, c)
	p := &streamPeer{framed: f, listener: &StreamListener{}}
	_ = c.SetDeadline(time.Now().Add(handshake))
	if err := f.greet(); err != nil {
		return err
	}
	defer e.Closed(p)
	defer f.shut()
	return f.serve(p, e, idle)
}
