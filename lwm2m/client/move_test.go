package client_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
)

// A registration goes along to a new association; observations do not.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		c, sensor := fakeClient(t, f)
		if c.Move(fakePeer("alpha"), fakePeer("again")) {
			t.Error("Move of a stranger = true")
		}
		c.Attach(fakePeer("alpha"), client.Account{Server: 1})
		if c.Move(fakePeer("alpha"), fakePeer("again")) {
			t.Error("Move without a registration = true")
		}
		if err := c.Register(t.Context(), fakePeer("alpha")); err != nil {
			t.Fatal(err)
		}
		observeFake(t, c, fakePeer("alpha"), "1")
		if !c.Move(fakePeer("alpha"), fakePeer("again")) {
			t.Error("Move = false")
		}
		if got := c.Location(fakePeer("again")); !slices.Equal(got, []string{"rd", "1"}) {
			t.Errorf("Location = %q", got)
		}
		if got := c.Location(fakePeer("alpha")); got != nil {
			t.Errorf("Location of the association before = %q", got)
		}
		sensor.Set(entry("/3303/0/5700", lwm2m.Float(21)))
		if got := f.taken(); len(got) != 0 {
			t.Errorf("notified %q", got)
		}
		if resp := observeFake(t, c, fakePeer("again"), "1"); resp.Code != coap.Content {
			t.Errorf("Observe = %s", resp.Code)
		}
	})
}
