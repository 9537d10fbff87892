package trace_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/trace"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects/registry"
)

type peer struct {
	name   string
	device fleet.ID // registered; "" if not
}

func (*peer) Send([]byte) error         { return nil }
func (p *peer) Identity() coap.Identity { return coap.Identity{Name: p.name} }
func (*peer) Addr() netip.AddrPort      { return netip.MustParseAddrPort("198.51.100.7:40000") }
func (p *peer) String() string          { return p.name }

type world struct {
	*trace.Recorder

	now       time.Time
	published int
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.Recorder = trace.New(trace.Options{
		Device: func(p coap.Peer) (fleet.ID, bool) {
			who, ok := p.(*peer)
			return who.device, ok && who.device != ""
		},
		Schema: registry.Default(), Now: func() time.Time { return w.now },
		Published: func(fleet.ID, trace.Item) { w.published++ },
	})
	return w
}

// Numbers of options that messages of the tests have.
const (
	uriPath, uriQuery, contentFormat = 11, 15, 12
)

// message returns a datagram.
func message(t *testing.T, code coap.Code, token, path, query string, format int, payload string) []byte {
	t.Helper()
	m := coap.Message{Type: coap.CON, Code: code, ID: 7, Token: []byte(token), Payload: []byte(payload)}
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			m.Options = append(m.Options, coap.Option{ID: uriPath, Value: []byte(part)})
		}
	}
	if format >= 0 {
		value := binary.BigEndian.AppendUint16(nil, uint16(format))
		m.Options = append(m.Options, coap.Option{ID: contentFormat, Value: value})
	}
	if query != "" {
		m.Options = append(m.Options, coap.Option{ID: uriQuery, Value: []byte(query)})
	}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSecrets checks which payloads are kept, and that nothing of the others is,
// in the text, the capture and the datagrams.
func TestSecrets(t *testing.T) {
	const key = "s3cretKEYs3cretKEY"
	senml := `[{"bn":"/0/0/","n":"5","vs":"` + key + `"}]`
	type msg struct {
		sent    bool
		code    coap.Code
		path    string
		format  int
		payload string
	}
	tests := []struct {
		name string
		msgs []msg
		show bool // the payload of the last
	}{
		{"value of a sensor", []msg{{true, coap.GET, "3303/0/5700", -1, ""}, {false, coap.Content, "", 0, key}}, true},
		{"Register", []msg{{false, coap.POST, "rd", 40, key}}, true},
		{"write of a key", []msg{{true, coap.PUT, "0/0/5", 42, key}}, false},
		{"write of an account", []msg{{true, coap.PUT, "0/0", 11542, key}}, false},
		{"answer from an account", []msg{{true, coap.GET, "0/0/3", -1, ""}, {false, coap.Content, "", 0, key}}, false},
		{"OSCORE", []msg{{true, coap.PUT, "21/0/0", 0, key}}, false},
		{"below an alternate path", []msg{{true, coap.PUT, "lwm2m/0/0/5", 42, key}}, false},
		{"below a prefix that is called rd", []msg{{true, coap.PUT, "rd/0/0/5", 42, key}}, false},
		{"below a prefix that is called est", []msg{{true, coap.PUT, "est/0/0/5", 42, key}}, false},
		{"what may only be written", []msg{{true, coap.PUT, "5/0/0", 42, key}}, false},
		{"composite with a key", []msg{{true, coap.IPATCH, "", 110, senml}}, false},
		{
			"composite without",
			[]msg{{true, coap.IPATCH, "", 110, `[{"n":"/3/0/15","vs":"` + key + `"}]`}},
			true,
		},
		{"Send with a key", []msg{{false, coap.POST, "dp", 110, senml}}, false},
		{"Send without", []msg{{false, coap.POST, "dp", 110, `[{"n":"/3/0/15","vs":"` + key + `"}]`}}, true},
		{"answer to what is not known", []msg{{false, coap.Content, "", 0, key}}, false},
		{"answer to what is not known, named", []msg{{false, coap.Content, "", 110, senml}}, false},
		{"Bootstrap-Pack", []msg{{false, coap.GET, "bspack", -1, ""}, {true, coap.Content, "", 110, senml}}, false},
		{"private key by EST", []msg{{false, coap.POST, "est/skg", -1, ""}, {true, coap.Changed, "", 62, key}}, false},
		{"certificate by EST", []msg{{false, coap.POST, "est/sen", -1, ""}, {true, coap.Changed, "", 281, key}}, true},
		{"another root", []msg{{true, coap.PUT, "x/y", 42, key}}, false},
	}
	for _, tt := range tests {
		w, p := newWorld(), &peer{device: "d"}
		if err := w.Start("d", "ep", time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, m := range tt.msgs {
			w.Datagram(p, m.sent, message(t, m.code, "tok", m.path, "", m.format, m.payload))
		}
		items := w.Snapshot("d").Items
		for name, out := range map[string][]byte{
			"text": trace.Text(items), "pcap": trace.PCAP(items), "datagram": items[len(items)-1].Datagram,
			"line": []byte(items[len(items)-1].Line().Payload),
		} {
			if got := bytes.Contains(out, []byte(key)); got != tt.show {
				t.Errorf("%s: shown in %s %v, want %v", tt.name, name, got, tt.show)
			}
		}
	}
}

// TestWhose checks that messages of nobody else are in a trace.
func TestWhose(t *testing.T) {
	register := func(ep string) []byte { return message(t, coap.POST, "r", "rd", "ep="+ep, 40, "</3/0>") }
	other := message(t, coap.GET, "g", "3/0/0", "", -1, "")
	tests := []struct {
		name     string
		peer     peer
		sent     bool
		datagram []byte
		want     int
		claimed  bool
	}{
		{"registered", peer{device: "d"}, true, other, 1, false},
		{"proved, not registered", peer{name: "ep"}, false, other, 1, false},
		{"another device", peer{device: "e"}, true, other, 0, false},
		{"another device that names it", peer{device: "e"}, false, register("ep"), 0, false},
		{"proved to be another, names it", peer{name: "e"}, false, register("ep"), 0, false},
		{"says it is", peer{}, false, register("ep"), 1, true},
		{"says it is another", peer{}, false, register("ep2"), 0, false},
		{"stranger", peer{}, false, other, 0, false},
	}
	for _, tt := range tests {
		w := newWorld()
		if err := w.Start("d", "ep", time.Minute); err != nil {
			t.Fatal(err)
		}
		w.Datagram(&tt.peer, tt.sent, tt.datagram)
		items := w.Snapshot("d").Items
		if len(items) != tt.want || tt.want > 0 && items[0].Claimed != tt.claimed {
			t.Errorf("%s: %d items, %+v", tt.name, len(items), items)
		}
	}
	w, p := newWorld(), &peer{}
	if err := w.Start("d", "ep", time.Minute); err != nil {
		t.Fatal(err)
	}
	answer := message(t, coap.Forbidden, "r", "", "", -1, "")
	w.Datagram(p, false, register("ep"))
	for range 3 { // one answer, and nothing after it
		w.Datagram(p, true, answer)
	}
	if n := len(w.Snapshot("d").Items); n != 2 {
		t.Errorf("a claim and its answer: %d items, want 2", n)
	}
}

func TestBounds(t *testing.T) {
	w, p := newWorld(), &peer{device: "d"}
	datagram := message(t, coap.GET, "g", "3/0/0", "", -1, "")
	w.Datagram(p, true, datagram)
	if s := w.Snapshot("d"); len(s.Items) > 0 || s.Running {
		t.Errorf("before Start: %+v", s)
	}
	for i := range 16 {
		if err := w.Start(fleet.ID(fmt.Sprint("d", i)), "x", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Start("d", "ep", time.Minute); !errors.Is(err, trace.ErrFull) {
		t.Errorf("Start of one too many = %v", err)
	}
	w.now = w.now.Add(2 * time.Hour) // all are over and forgotten
	if err := w.Start("d", "ep", 5*time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 2500 {
		w.Datagram(p, true, datagram)
	}
	s := w.Snapshot("d")
	if len(s.Items) != 2000 || s.Missed != 500 || s.Items[0].Number != 501 || s.Ends.Sub(w.now) != trace.MaxDuration {
		t.Errorf("%d items from %d, %d missed, ends %v", len(s.Items), s.Items[0].Number, s.Missed, s.Ends)
	}
	if w.published != 20 {
		t.Errorf("%d published in one second, want 20", w.published)
	}
	for range 100 {
		w.Datagram(p, true, append(bytes.Clone(datagram), make([]byte, 60000)...)) // malformed, and long
	}
	size := 0
	for _, i := range w.Snapshot("d").Items {
		size += len(i.Datagram)
	}
	if size > 1<<20 {
		t.Errorf("%d bytes kept", size)
	}
	w.now = w.now.Add(time.Hour)
	before := len(w.Snapshot("d").Items)
	w.Datagram(p, true, datagram)
	if s := w.Snapshot("d"); s.Running || len(s.Items) != before {
		t.Errorf("after its end: running %v, %d items, were %d", s.Running, len(s.Items), before)
	}
	w.Stop("nobody")
}

func TestOffCostsNothing(t *testing.T) {
	w, datagram := newWorld(), message(t, coap.GET, "g", "3/0/0", "", -1, "")
	p := coap.Peer(&peer{device: "d"})
	if n := testing.AllocsPerRun(100, func() { w.Datagram(p, true, datagram) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFiles(t *testing.T) {
	w, p := newWorld(), &peer{device: "d"}
	if err := w.Start("d", "ep", time.Minute); err != nil {
		t.Fatal(err)
	}
	w.Datagram(p, true, message(t, coap.GET, "\x01\x02", "3/0/\x1b[31m", "a\nb", -1, ""))
	w.Datagram(p, false, message(t, coap.Content, "\x01\x02", "", "", 0, "ok"))
	w.Datagram(p, false, []byte{0xff, 1, 2, 3, 4})
	items := w.Snapshot("d").Items
	text := string(trace.Text(items))
	if strings.ContainsAny(text, "\x1b\r") || strings.Count(text, "\n") != 4 || !strings.Contains(text, "token=0102") {
		t.Errorf("text = %q", text)
	}
	b := trace.PCAP(items)
	if le := binary.LittleEndian; le.Uint32(b) != 0xa1b2c3d4 || le.Uint32(b[20:]) != 101 {
		t.Errorf("header = %x", b[:24])
	}
	n := int(binary.LittleEndian.Uint32(b[32:]))
	packet := b[40 : 40+n]
	if packet[0] != 0x45 || packet[9] != 17 || int(binary.BigEndian.Uint16(packet[2:])) != n ||
		!bytes.Equal(packet[28:], items[0].Datagram) || binary.BigEndian.Uint16(packet[22:]) != 40000 {
		t.Errorf("first packet = %x", packet)
	}
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	if sum = sum&0xffff + sum>>16; sum != 0xffff {
		t.Errorf("sum of the IP header = %x, want ffff (RFC 1071)", sum)
	}
}

// FuzzSee checks that no datagram breaks a trace, its words or its files.
func FuzzSee(f *testing.F) {
	f.Add([]byte{0x40, 1, 0, 1}, true)
	f.Add([]byte{0x42, 0x45, 0, 1, 1, 2, 0xc0, 0xff, 1}, false)
	f.Fuzz(func(t *testing.T, datagram []byte, sent bool) {
		w := newWorld()
		if err := w.Start("d", lwm2m.Endpoint("ep"), time.Minute); err != nil {
			t.Fatal(err)
		}
		w.Datagram(&peer{device: "d"}, sent, datagram)
		items := w.Snapshot("d").Items
		if len(items) != 1 || len(items[0].Datagram) != len(datagram) {
			t.Fatalf("%d items", len(items))
		}
		if text := trace.Text(items); bytes.Count(text, []byte("\n")) > 2 {
			t.Errorf("text = %q", text)
		}
		trace.PCAP(items)
	})
}
