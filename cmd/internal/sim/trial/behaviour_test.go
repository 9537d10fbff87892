package trial_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/trial"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// In queue mode nothing reaches the device after its window, until it speaks.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Queue: true, Awake: 20 * time.Second, Lifetime: 600 * time.Second})
		w.start()
		time.Sleep(15 * time.Second)
		w.expect(coap.GET, "3/0/0", "", coap.Content)
		time.Sleep(15 * time.Second)
		w.expect(coap.GET, "3/0/0", "", coap.Content) // the first has kept it awake
		time.Sleep(25 * time.Second)
		w.expect(coap.GET, "3/0/0", "", coap.Empty)
		if w.kinds(trial.Asleep) == 0 {
			t.Error("nothing was lost")
		}
		w.take()
		for len(w.take()) == 0 { // the Update comes
			time.Sleep(time.Second)
		}
		w.expect(coap.GET, "3/0/0", "", coap.Content)
	})
}

func TestSendHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{
			Every: time.Second, SendEvery: 3 * time.Second, Behind: []string{"dev1"}, Version: lwm2m.Version11,
		})
		w.start()
		time.Sleep(3500 * time.Millisecond)
		w.mu.Lock()
		last := w.requests[len(w.requests)-1]
		w.mu.Unlock()
		if last.Path[0] != "dp" {
			t.Fatalf("asked %q", w.take())
		}
		pack, err := codec.Options{}.DecodePack(codec.SenMLCBOR, lwm2m.Path{}, last.Payload, trial.Schema())
		times := map[string][]time.Time{}
		for i, e := range pack.Entries {
			name := pack.Prefix(i) + e.Path.String()
			times[name] = append(times[name], e.Time)
		}
		own := times["/3/0/9"]
		if err != nil || len(own) != 3 || own[1].Sub(own[0]) != time.Second || len(times["dev1/3303/0/5700"]) != 3 {
			t.Errorf("sent %v, %v", times, err)
		}
		w.expect(coap.PUT, "1/0/23", "1", coap.Changed)
		time.Sleep(time.Second)
		w.take()
		time.Sleep(10 * time.Second)
		w.want("muted")
	})
}

func TestFaults(t *testing.T) {
	tests := []struct {
		fault trial.Fault
		code  coap.Code
		after time.Duration
	}{
		{trial.FaultFormat, coap.Content, 0},
		{trial.FaultGarbage, coap.Content, 0},
		{trial.FaultLate, coap.Content, 30 * time.Second},
		{trial.FaultSilent, coap.Empty, 0},
		{trial.FaultError, coap.InternalServerError, 0},
		{trial.FaultTwice, coap.Content, 0},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, trial.Options{Faults: []trial.Fault{tt.fault}, FaultTime: 30 * time.Second, Slow: time.Second})
				w.start()
				time.Sleep(2 * time.Second)
				w.want("start", "POST /rd?ep=a&lt=300&lwm2m=1.2&b=U")
				began := time.Now()
				r := w.expect(coap.GET, "3/0", "", tt.code)
				if took := time.Since(began); took < tt.after+time.Second {
					t.Errorf("answered after %s", took)
				}
				id, _ := r.ContentFormat.ID()
				_, err := codec.Decode(id, lwm2m.NewPath(3, 0), r.Payload, trial.Schema())
				if (err != nil) != (tt.fault == trial.FaultGarbage) && r.Code == coap.Content {
					t.Errorf("decoded: %v", err)
				}
				if tt.fault == trial.FaultFormat && id != codec.TLV {
					t.Errorf("format %d", id)
				}
			})
		})
	}
}

// A device registers through an air that loses much of what it carries.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Loss: 0.3, Duplicate: 0.2})
		w.start()
		time.Sleep(time.Hour)
		if w.kinds(sim.Registered) == 0 {
			t.Error("never registered")
		}
	})
}

// What changed while the server was away reaches it when it is back.
func TestStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Every: 20 * time.Second, Lifetime: time.Hour})
		w.start()
		time.Sleep(time.Second)
		var mu sync.Mutex
		var got []string
		first, _, err := w.engine.Observe(t.Context(), w.peer(), &coap.Request{
			Method: coap.GET, Path: []string{"3", "0", "9"}, Accept: coap.FormatID(codec.Text), Observe: coap.ObserveRegister,
		}, func(r *coap.Response) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(r.Payload))
		})
		if err != nil || string(first.Payload) != "100" {
			t.Fatalf("Observe = %v, %v", first, err)
		}
		set := func(cut bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.cut = cut
		}
		time.Sleep(30 * time.Second)
		set(true)
		time.Sleep(130 * time.Second)
		set(false)
		time.Sleep(110 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"99", "98", "93"} {
			if !slices.Contains(got, want) {
				t.Errorf("notified %q, which lacks %s", got, want)
			}
		}
		if n := w.kinds(sim.Registered); n != 1 {
			t.Errorf("registered %d times, want 1", n)
		}
	})
}

// A server that acknowledges everything and answers nothing, as one that is stuck, is
// called anew until it answers.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Retry: 10 * time.Second})
		w.start()
		time.Sleep(time.Second)
		w.take()
		w.mu.Lock()
		w.mute = make(chan struct{})
		w.mu.Unlock()
		time.Sleep(30 * time.Minute)
		w.mu.Lock()
		dialled := len(w.dialled)
		close(w.mute)
		w.mute = nil
		w.mu.Unlock()
		if dialled < 3 {
			t.Errorf("%d associations in half an hour, want more", dialled)
		}
		time.Sleep(20 * time.Minute)
		w.take()
		w.expect(coap.GET, "3/0/0", "", coap.Content)
	})
}
