package coap_test

import (
	"context"
	"testing"
	"testing/synctest"

	"steward/lwm2m/coap"
)

// TestSent checks that Sent comes after the response: the client already has it.
func TestSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		var left int
		handler := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
			return &coap.Response{Code: coap.Content, Sent: func() {
				if left == 0 {
					t.Error("Sent before the response")
				}
				close(sent)
			}}
		})
		client, server, toServer, _ := coap.Pipe(coap.Options{}, coap.Options{
			Handler: handler, Trace: func(_ coap.Peer, sent bool, _ []byte) {
				if sent {
					left++
				}
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		go client.Run(ctx)
		go server.Run(ctx)
		if _, err := client.Do(ctx, toServer, &coap.Request{Method: coap.GET}); err != nil {
			t.Fatal(err)
		}
		<-sent
		cancel()
	})
}

func TestClosedIsTold(t *testing.T) {
	var told []coap.Peer
	client, _, toServer, _ := coap.Pipe(coap.Options{Closed: func(p coap.Peer) { told = append(told, p) }}, coap.Options{})
	client.Closed(toServer)
	if len(told) != 1 || told[0] != toServer {
		t.Errorf("Closed told of %v, want %v", told, toServer)
	}
}
