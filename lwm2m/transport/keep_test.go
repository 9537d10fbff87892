package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// lives is a listener that is stopped or killed and begins again, always with
// the same address and the same directory.
type lives struct {
	*site

	tb    testing.TB
	creds *credentials
	dir   string
	addr  string
	woken atomic.Int64
	end   func() error // of this life
}

func newLives(tb testing.TB, creds *credentials) *lives {
	tb.Helper()
	x := &lives{tb: tb, creds: creds, dir: filepath.Join(tb.TempDir(), "associations"), addr: freeUDP(tb)}
	x.begin()
	tb.Cleanup(func() { _ = x.end() })
	return x
}

// rejudge refuses what Identify would.
func (x *lives) rejudge(who coap.Identity) error {
	x.creds.mu.Lock()
	defer x.creds.mu.Unlock()
	if x.creds.revoked[who.Name] {
		return errRevoked
	}
	return nil
}

func (x *lives) begin() {
	x.tb.Helper()
	s := &site{}
	s.engine = coap.New(coap.Options{Handler: coap.HandlerFunc(s.serve), Params: fast})
	l, err := transport.Listen(transport.ListenOptions{
		Addr: x.addr, Credentials: x.creds, Engine: s.engine, Refused: s.refused, FlightInterval: 100 * time.Millisecond,
		Keep: transport.KeepOptions{Dir: x.dir, Rejudge: x.rejudge, Woke: func(coap.Peer) { x.woken.Add(1) }},
	})
	if err != nil {
		x.tb.Fatal(err)
	}
	s.Listener, x.site, x.addr = l, s, l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { errs[0] = s.engine.Run(ctx) })
	wg.Go(func() { errs[1] = l.Run(ctx) })
	x.end = sync.OnceValue(func() error {
		cancel()
		wg.Wait()
		return errors.Join(errs[:]...)
	})
}

// stop ends a life as an operator does.
func (x *lives) stop() {
	x.tb.Helper()
	if err := x.end(); err != nil {
		x.tb.Fatalf("Run = %v", err)
	}
}

// kill ends a life as kill -9 does.
func (x *lives) kill() {
	x.tb.Helper()
	if err := transport.Kill(x.Listener); err != nil {
		x.tb.Fatal(err)
	}
	x.stop()
}

func (x *lives) wantRestored(n int) {
	x.tb.Helper()
	if s := x.Stats(); s.Restored != uint64(n) || s.Associations != n || s.Handshakes != 0 {
		x.tb.Errorf("restored %d, %d associations, %d handshakes; want %d, %d, 0",
			s.Restored, s.Associations, s.Handshakes, n, n)
	}
}

// A recorder is a device behind a NAT that keeps what passes.
type recorder struct {
	*nat

	name string
	conn *transport.Conn

	mu               sync.Mutex
	toServer, toPeer [][]byte
}

func (x *lives) record(e *coap.Engine, name string, cid bool) *recorder {
	x.tb.Helper()
	r := newRecorder(x.tb, x.addr, name)
	o := x.creds.client(x.tb, name)
	o.CID = cid
	r.conn = dial(x.tb, e, r.uri(), o)
	return r
}

func newRecorder(tb testing.TB, addr, name string) *recorder {
	tb.Helper()
	r := &recorder{nat: newNAT(tb, netip.MustParseAddrPort(addr)), name: name}
	r.setFilter(func(toServer bool, d []byte) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if toServer {
			r.toServer = append(r.toServer, bytes.Clone(d))
		} else {
			r.toPeer = append(r.toPeer, bytes.Clone(d))
		}
		return true
	})
	return r
}

// protected returns the last protected record to the server.
func (r *recorder) protected() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.toServer[len(r.toServer)-1]
}

// wantUnique fails if the server has used a sequence number for two records.
func (r *recorder) wantUnique(tb testing.TB) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[uint64][]byte{}
	for _, d := range r.toPeer {
		for rest := d; len(rest) > 0; {
			record, next, err := dtls.ParseRecord(rest)
			if err != nil {
				tb.Fatal(err)
			}
			rest = next
			if record.Epoch == 0 {
				continue
			}
			if before, ok := used[record.Sequence]; ok && !bytes.Equal(before, record.Fragment) {
				tb.Errorf("%s: sequence number %d was used twice", r.name, record.Sequence)
			}
			used[record.Sequence] = record.Fragment
		}
	}
	if len(used) < 5 {
		tb.Errorf("%s: only %d records were seen", r.name, len(used))
	}
}

// TestRestart stops and kills a listener again and again: devices go on without
// a handshake, requests pass both ways, and no sequence number is used twice.
func TestRestart(t *testing.T) {
	x := newLives(t, newCredentials(t))
	e := newPatientEngine(t) // what is asked again could arrive in the next life
	const devices = 6
	var all []*recorder
	for i := range devices {
		all = append(all, x.record(e, fmt.Sprintf("sensor-%d", i), i%2 == 0))
		do(t, e, all[i].conn, coap.POST, "hello")
	}
	for i, end := range []func(){x.stop, x.kill, x.kill, x.stop, x.stop, x.kill} {
		captured := all[0].protected()
		end()
		x.woken.Store(0)
		x.begin()
		x.wantRestored(devices)

		all[0].inject(captured)
		eventually(t, "the captured record refused", func() bool { return x.Stats().Drops[transport.DropReplay] == 1 })
		if x.served.Load() != 0 || x.woken.Load() != 0 {
			t.Errorf("life %d: a captured request was served", i)
		}
		for k, r := range all {
			if k%3 == 0 { // the server speaks first
				p, ok := x.Restored(r.name)
				if !ok {
					t.Fatalf("life %d: no %s", i, r.name)
				}
				if got := do(t, x.engine, p, coap.GET, ""); got != "device" {
					t.Errorf("life %d: GET at %s = %q", i, r.name, got)
				}
			}
			if k%2 == 0 {
				r.rebind()
			}
			if got := do(t, e, r.conn, coap.GET, ""); got != r.name {
				t.Errorf("life %d: GET = %q, want %q", i, got, r.name)
			}
		}
		if n := x.woken.Load(); n != devices {
			t.Errorf("life %d: %d woke, want %d", i, n, devices)
		}
	}
	for _, r := range all {
		r.wantUnique(t)
		select {
		case <-r.conn.Done():
			t.Errorf("%s was told goodbye", r.name)
		default:
		}
	}
	if _, ok := x.Restored("nobody"); ok {
		t.Error("Restored a peer that never was")
	}
}

// TestReservation sends more than is reserved at once before the kill.
func TestReservation(t *testing.T) {
	x := newLives(t, newCredentials(t))
	e := newEngine(t)
	r := x.record(e, "sensor", true)
	do(t, e, r.conn, coap.GET, "")
	for range 3000 {
		if err := x.peer().Send([]byte{0x40, 0, 0, 0}); err != nil { // a ping each
			t.Fatal(err)
		}
	}
	x.kill()
	x.begin()
	do(t, e, r.conn, coap.GET, "")
	r.wantUnique(t)
}

// TestHeldBack: what a device sent before the kill and the server never saw is
// taken after it, once.
func TestHeldBack(t *testing.T) {
	x := newLives(t, newCredentials(t))
	e := newEngine(t)
	r := x.record(e, "sensor", true)
	do(t, e, r.conn, coap.GET, "")
	f, held := capture(false)
	r.setFilter(f)
	do(t, e, r.conn, coap.GET, "") // lost once, answered the second time
	older := <-held
	f, held = capture(false)
	r.setFilter(f)
	if err := r.conn.Send([]byte{0x50, 0x01, 0x77, 0x77}); err != nil { // a NON GET that never arrives
		t.Fatal(err)
	}
	newer := <-held
	x.kill()
	x.begin()
	r.inject(older)
	eventually(t, "the older refused", func() bool { return x.Stats().Drops[transport.DropReplay] == 1 })
	r.inject(newer)
	eventually(t, "the newer served", func() bool { return x.served.Load() == 1 })
	r.inject(newer)
	eventually(t, "its repetition refused", func() bool { return x.Stats().Drops[transport.DropReplay] == 2 })
}

// TestNotKept: what has ended, was revoked meanwhile, or is of a factory
// certificate is not there after a restart, and who can be told is.
func TestNotKept(t *testing.T) {
	creds := newCredentials(t)
	for name, end := range map[string]func(*lives){"stopped": (*lives).stop, "killed": (*lives).kill} {
		t.Run(name, func(t *testing.T) {
			x := newLives(t, creds)
			e := newEngine(t)
			peers := map[string]*transport.Conn{}
			for _, n := range []string{"stays", "leaves", "dropped", "revoked " + name} {
				peers[n] = dial(t, e, x.uri(), creds.client(t, n))
				do(t, e, peers[n], coap.GET, "")
			}
			peers["leaves"].Close()
			x.Drop(func(id coap.Identity) bool { return id.Name == "dropped" })
			<-peers["dropped"].Done()
			eventually(t, "two are gone", func() bool { return x.Stats().Associations == 2 })
			creds.revoke("revoked " + name)
			end(x)
			x.begin()
			<-peers["revoked "+name].Done()
			eventually(t, "the end of the revoked", func() bool { return x.Stats().Associations == 1 })
			if got := do(t, e, peers["stays"], coap.GET, ""); got != "stays" {
				t.Errorf("GET = %q", got)
			}
			x.Drop(func(coap.Identity) bool { return true })
			<-peers["stays"].Done()
			end(x)
			x.begin()
			x.wantRestored(0)
		})
	}
}

// A factory identifies everybody by a factory certificate.
type factory struct{ *credentials }

func (f factory) Identify(chain [][]byte, psk []byte) (coap.Identity, error) {
	id, err := f.credentials.Identify(chain, psk)
	id.Role = coap.RoleFactory
	return id, err
}

func TestFactoryNotKept(t *testing.T) {
	creds := newCredentials(t)
	dir := t.TempDir()
	e := newEngine(t)
	l, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Credentials: factory{creds}, Engine: e,
		Keep: transport.KeepOptions{Dir: dir, Rejudge: func(coap.Identity) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	conn := dial(t, e, "coaps://"+l.Addr().String(), creds.client(t, "sensor"))
	eventually(t, "the association", func() bool { return l.Stats().Associations == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	<-conn.Done()
	if files, _ := filepath.Glob(filepath.Join(dir, "journal-*")); len(files) != 1 {
		t.Errorf("files %q", files)
	}
}

// TestLoadedOnce puts the files of a stop back after they were read: nothing of
// them is restored.
func TestLoadedOnce(t *testing.T) {
	x := newLives(t, newCredentials(t))
	e := newEngine(t)
	conn := dial(t, e, x.uri(), x.creds.client(t, "sensor"))
	do(t, e, conn, coap.GET, "")
	x.stop()
	saved := t.TempDir()
	if err := os.CopyFS(saved+"/copy", os.DirFS(x.dir)); err != nil {
		t.Fatal(err)
	}
	x.begin()
	x.wantRestored(1)
	x.kill()
	if err := errors.Join(os.RemoveAll(x.dir), os.CopyFS(x.dir, os.DirFS(saved+"/copy"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(x.dir, "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	x.begin()
	x.wantRestored(0)
}

// TestTornJournal cuts the last entry of a killed process short: all others are
// restored.
func TestTornJournal(t *testing.T) {
	x := newLives(t, newCredentials(t))
	transport.Fill(t, x.Listener, 100)
	x.kill()
	files, err := filepath.Glob(filepath.Join(x.dir, "journal-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], info.Size()-5); err != nil {
		t.Fatal(err)
	}
	x.begin()
	x.wantRestored(99)
}

// TestJournalIsBounded: associations that come and go leave nothing.
func TestJournalIsBounded(t *testing.T) {
	x := newLives(t, newCredentials(t))
	transport.Fill(t, x.Listener, 10)
	for range 8 {
		x.Drop(func(coap.Identity) bool { return true })
		transport.Fill(t, x.Listener, 1000)
		if err := transport.Compact(x.Listener); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	for _, f := range files(t, x.dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 4<<20 {
		t.Errorf("%d bytes on disk", total)
	}
	x.kill()
	x.begin()
	x.wantRestored(1000)
}

func files(tb testing.TB, dir string) []string {
	tb.Helper()
	out, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(out) == 0 {
		tb.Fatalf("no files in %s, %v", dir, err)
	}
	return out
}

// TestKeysAreNotInTheClear, neither while the listener runs nor after.
func TestKeysAreNotInTheClear(t *testing.T) {
	x := newLives(t, newCredentials(t))
	transport.Fill(t, x.Listener, 100)
	look := func(when string) {
		for _, f := range files(t, x.dir) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(f)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode of %s is %v, %v", when, f, info.Mode(), err)
			}
			if bytes.Contains(b, bytes.Repeat([]byte{transport.FillKey}, 6)) || bytes.Contains(b, []byte("urn:dev")) {
				t.Errorf("%s: %s holds keys or names", when, f)
			}
		}
	}
	look("running")
	x.stop()
	look("stopped")
}

// TestNeverRun: a listener that was closed without Run has lost nothing.
func TestNeverRun(t *testing.T) {
	x := newLives(t, newCredentials(t))
	transport.Fill(t, x.Listener, 3)
	x.stop()
	l, err := transport.Listen(transport.ListenOptions{
		Addr: x.addr, Credentials: x.creds, Engine: newEngine(t),
		Keep: transport.KeepOptions{Dir: x.dir, Rejudge: x.rejudge},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	x.begin()
	x.wantRestored(3)
}

func TestKeepOptions(t *testing.T) {
	e := newEngine(t)
	creds := newCredentials(t)
	judge := func(coap.Identity) error { return nil }
	for name, o := range map[string]transport.ListenOptions{
		"plain":      {Addr: "127.0.0.1:0", Engine: e, Keep: transport.KeepOptions{Dir: t.TempDir(), Rejudge: judge}},
		"no Rejudge": {Addr: "127.0.0.1:0", Engine: e, Credentials: creds, Keep: transport.KeepOptions{Dir: t.TempDir()}},
	} {
		if _, err := transport.Listen(o); !errors.Is(err, transport.ErrOptions) {
			t.Errorf("%s: Listen = %v, want %v", name, err, transport.ErrOptions)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Engine: e, Credentials: creds, Keep: transport.KeepOptions{Dir: file, Rejudge: judge},
	}); err == nil {
		t.Error("Listen with a file for a directory succeeded")
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{5}, make([]byte, 8)...))
	f.Add(append([]byte{4}, make([]byte, 250)...))
	entry := append([]byte{4, 0, 0, 0, 0, 1, 0, 0, 7}, make([]byte, 106)...)
	entry = append(append(entry, 1), make([]byte, 16)...)                             // suite, times
	entry = append(entry, 6, 127, 0, 0, 1, 0x16, 0x34, 3, 'p', 's', 'k', 2, 'i', 'd') // address, role, name
	f.Add(append(entry, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		again, n, err := transport.ReadEntries(frame)
		if err != nil {
			return
		}
		_, m, err := transport.ReadEntries(again)
		if err != nil || m > n || len(again) > len(frame)+n*16 {
			t.Errorf("%x: %d entries, then %x: %d, %v", frame, n, again, m, err)
		}
		if n == 1 && m == 1 && len(again) == len(frame) && !bytes.Equal(again, frame) {
			t.Errorf("%x is written as %x", frame, again)
		}
	})
}

// BenchmarkKeep measures a stop and a start with as many associations as the
// listener is made for.
func BenchmarkKeep(b *testing.B) {
	const associations = 200_000
	x := newLives(b, newCredentials(b))
	transport.Fill(b, x.Listener, associations)
	var save, load, reload time.Duration
	for b.Loop() {
		begin := time.Now()
		x.stop()
		save += time.Since(begin)
		begin = time.Now()
		x.begin()
		load += time.Since(begin)
		x.kill()
		begin = time.Now()
		x.begin()
		reload += time.Since(begin)
		x.wantRestored(associations)
	}
	for name, d := range map[string]time.Duration{"save": save, "load": load, "load-after-kill": reload} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name+"-ms")
	}
	var size int64
	for _, f := range files(b, x.dir) {
		info, err := os.Stat(f)
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	b.ReportMetric(float64(size)/associations, "bytes/association")
}

// TestCompactionUnderLoad compacts the journal again and again while devices
// come, move and end: after a kill exactly those that live are there.
func TestCompactionUnderLoad(t *testing.T) {
	x := newLives(t, newCredentials(t))
	speakers := transport.FillSpeakers(t, x.Listener, 300)
	var busy sync.WaitGroup
	stop := make(chan struct{})
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := transport.Rewrite(x.Listener); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for round := range uint16(5) {
		for i, s := range speakers {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(round), byte(i)}), uint16(1000+i))
			transport.Inject(x.Listener, s.Ping(t, round), from)
		}
		transport.Fill(t, x.Listener, 100)
		x.Drop(func(id coap.Identity) bool { return strings.HasPrefix(id.Name, "urn:dev:ops:000000") })
	}
	close(stop)
	busy.Wait()
	x.kill()
	x.begin()
	x.wantRestored(300)
	for p := range x.Peers() {
		if a := p.Addr().Addr().As4(); a[0] != 127 || a[2] != 4 {
			t.Fatalf("%s has an old address", p)
		}
	}
}
