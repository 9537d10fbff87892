package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"steward/web"
	"steward/web/account"
)

// Rates of requests.
const (
	defaultRate = 200     // a second of one caller, who may save up burstSeconds of it
	burst       = 5       // seconds
	strangers   = 10      // a second of an address, or of an IPv6 network of 64 bits, whose callers are not known
	maxCallers  = 10_000  // remembered; an address costs about 100 bytes
	forgetAfter = 1 << 10 // callers are looked through for those to forget once in so many
	hour        = time.Hour
)

// A meter counts what callers may still ask: a bucket each, which fills steadily.
type meter struct {
	rate float64 // a second; 0: no limit

	mu      sync.Mutex // guards the rest
	callers map[string]bucket
	asked   int
}

type bucket struct {
	left float64
	at   time.Time
}

// take counts a request of a caller with rate and returns 0, or how long to wait.
func (m *meter) take(caller string, rate float64, now time.Time) time.Duration {
	if m.rate == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.callers == nil {
		m.callers = map[string]bucket{}
	}
	if m.asked++; m.asked%forgetAfter == 0 || len(m.callers) > maxCallers {
		m.forget(now)
	}
	b, known := m.callers[caller]
	if !known {
		b = bucket{rate * burst, now}
	}
	b.left = min(b.left+max(0, now.Sub(b.at).Seconds())*rate, rate*burst)
	b.at = now
	wait := time.Duration(0)
	if b.left < 1 {
		wait = time.Duration((1 - b.left) / rate * float64(time.Second))
	} else {
		b.left--
	}
	m.callers[caller] = b
	return wait
}

// forget drops those who have not asked for so long that nothing is held against them;
// beyond maxCallers, everybody.
func (m *meter) forget(now time.Time) {
	for caller, b := range m.callers {
		if now.Sub(b.at) > burst*time.Second || now.Sub(b.at) < -hour {
			delete(m.callers, caller)
		}
	}
	if len(m.callers) > maxCallers {
		clear(m.callers)
	}
}

// metered answers 429 to who asks too often (RFC 6585 §4): by caller, and by address
// those who are not known. Health is for everybody.
func (a *API) metered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		actor := web.ActorFrom(r.Context())
		caller, rate := string(actor.Via)+":"+actor.String(), a.meter.rate
		if actor.Role == web.RoleNone {
			caller, rate = "address:"+account.Network(r.RemoteAddr), min(strangers, rate)
		}
		if wait := a.meter.take(caller, rate, a.o.Now()); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			err := &web.Error{Is: web.ErrTooMany, Detail: "this caller may ask " + strconv.Itoa(int(rate)) + " times a second"}
			web.LogError(r, a.o.Log, err)
			web.WriteProblem(w, web.ProblemOf(r, err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
