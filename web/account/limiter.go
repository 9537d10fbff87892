package account

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// How many wrong passwords are free, and how long the pause grows, doubling from
// a second.
const (
	freeOfAccount  = 5
	freeOfAddress  = 20
	pauseOfAccount = 5 * time.Minute // who does not know the password must not lock out who does for long
	pauseOfAddress = 15 * time.Minute
	forgetAfter    = time.Hour
	maxTries       = 16384 // accounts and addresses remembered: some 2 MiB
)

// A PauseError says how long to wait before the next try. It is the same whether
// or not there is such a person.
type PauseError struct{ Wait time.Duration }

// Error implements error.
func (e *PauseError) Error() string {
	return fmt.Sprintf("too many tries: wait %d s", int(e.Wait/time.Second)+1)
}

// A limiter slows down guessing.
type limiter struct {
	mu   sync.Mutex // guards rows
	rows map[string]tries
}

type tries struct {
	n    int       // wrong ones, those under way included
	last time.Time // when the latest began
}

func (t tries) until(free int, most time.Duration) time.Time {
	over := t.n - free
	if over <= 0 {
		return t.last
	}
	const doublings = 20 // beyond any pause
	return t.last.Add(min(most, time.Second<<min(over-1, doublings)))
}

// begin counts a try before its outcome is known, so that many at once gain
// nothing. It returns a *PauseError, and counts nothing, while there is a pause.
func (l *limiter) begin(account, address string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		l.rows = map[string]tries{}
	}
	until := l.rows["n:"+account].until(freeOfAccount, pauseOfAccount)
	if address != "" {
		if u := l.rows["a:"+address].until(freeOfAddress, pauseOfAddress); u.After(until) {
			until = u
		}
	}
	if until.After(now) {
		return &PauseError{until.Sub(now)}
	}
	l.count("n:"+account, now)
	if address != "" {
		l.count("a:"+address, now)
	}
	return nil
}

func (l *limiter) count(key string, now time.Time) {
	t := l.rows[key]
	if now.Sub(t.last) > forgetAfter {
		t.n = 0
	}
	if len(l.rows) >= maxTries {
		l.forget(now)
	}
	l.rows[key] = tries{t.n + 1, now}
}

// forget makes room: of what is over, else of the oldest.
func (l *limiter) forget(now time.Time) {
	var oldest string
	for key, t := range l.rows {
		if now.Sub(t.last) > forgetAfter {
			delete(l.rows, key)
		} else if oldest == "" || t.last.Before(l.rows[oldest].last) {
			oldest = key
		}
	}
	if len(l.rows) >= maxTries {
		delete(l.rows, oldest)
	}
}

// right takes a try back that was right: the account begins anew, the address has
// one less.
func (l *limiter) right(account, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rows, "n:"+account)
	if t, ok := l.rows["a:"+address]; ok {
		t.n--
		l.rows["a:"+address] = t
	}
}

// Network returns what tries are counted by: an IPv4 address or an IPv6 network
// of 64 bits; "" for this machine, where a proxy may stand for everybody.
func Network(remote string) string {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := addr.Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return ""
	}
	if ip.Is4() {
		return ip.String()
	}
	const bits = 64
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
