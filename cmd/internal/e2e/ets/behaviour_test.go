package ets_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

// A behaviour is what no public suite asks of servers, or a suite by another name.
type behaviour struct {
	item, title string
	run         func(*testing.T)
	real        bool   // runs over real sockets
	test        string // of another package, that has it
	not         string // why it is not built
}

// behaviours are those that no public suite has, by what they are about.
var behaviours = []behaviour{
	{item: "lifetime", title: "expiry at lt, after Updates with and without lt", run: expiry},
	{item: "lifetime", title: "lt=0 is for ever", run: forEver},
	{item: "lifetime", title: "lifetime changed by Write", run: ets107},
	{item: "re-Register", title: "a request ends with its register", run: requestEnds},
	{item: "re-Register", title: "observations return after Register", run: observationsReturn},
	{item: "re-Register", title: "what is queued outlives a Register", run: queuedOverRegister},
	{item: "re-Register", title: "a Register sent twice", run: registerTwice},
	{item: "codes", title: "codes", run: codes},
	{item: "codes", title: "codes of Bootstrap-Pack", run: packCodes},
	{item: "forms", title: "unknown parameters", run: unknownParameters},
	{item: "forms", title: "links as devices write them", run: linkForms},
	{item: "forms", title: "alternate path", run: alternatePath},
	{item: "blocks", title: "bodies in blocks", run: blocks},
	{item: "blocks", title: "answers in blocks", run: longAnswer},
	{item: "blocks", title: "a push that breaks off", run: brokenPush},
	{item: "queue mode", title: "an Update without Q", run: withoutQueue},
	{item: "queue mode", title: "a queue keeps its order", run: inOrder},
	{item: "queue mode", title: "a notification releases what waits", run: notificationReleases},
	{item: "queue mode", title: "a restart with a filled queue", run: filledQueue},
	{item: "queue mode", title: "what wakes a device", run: wakes},
	{item: "DTLS", title: "an address that another identity takes", run: takenAddress, real: true},
	{item: "DTLS", title: "a new handshake of the same identity", run: anewHandshake, real: true},
	{item: "DTLS", title: "an address that changes under a connection identifier", run: changedAddress, real: true},
	{item: "DTLS", title: "two endpoint names for one key", run: badEndpoint, real: true},
	{item: "DTLS", title: "a key removed during a session", run: removedKey, real: true},
	{item: "DTLS", title: "resumption of a handshake", test: "TestResumption"},
	{item: "OSCORE", title: "Echo, sender sequence after a restart, replays", not: noOSCORE},
	{item: "gateway", title: "operations behind a gateway", run: gatewayOperations},
	{item: "gateway", title: "reports from behind a gateway", run: gatewayReports},
	{item: "gateway", title: "composites behind a gateway", run: gatewayComposite},
	{item: "gateway", title: "nothing behind a device", run: noGateway},
	{item: "gateway", title: "a gateway registers anew", run: gatewayReturns},
	{item: "vectors", title: "all vectors, also those to be refused", test: "TestVectorsLwM2M"},
}

// TestBehaviour has what no public suite asks of servers.
func TestBehaviour(t *testing.T) { runAll(t, behaviours) }

// runAll runs those of a list that are built here.
func runAll(t *testing.T, list []behaviour) {
	t.Helper()
	for _, b := range list {
		if b.run == nil {
			continue
		}
		t.Run(b.title, func(t *testing.T) {
			if b.real {
				b.run(t)
				return
			}
			synctest.Test(t, b.run)
		})
	}
}

func expiry(t *testing.T) {
	for _, query := range []string{"", "lt=50"} {
		x, d := registered(t, "ep=alpha&lt=60&lwm2m=1.1&b=U", links)
		lifetime := 60 * time.Second
		time.Sleep(30 * time.Second)
		d.update(query, 204)
		if query != "" {
			lifetime = 50 * time.Second
		}
		time.Sleep(lifetime - time.Second)
		if r := x.registration(); r.Lifetime != lifetime {
			t.Errorf("lifetime %v after Update %q, want %v", r.Lifetime, query, lifetime)
		}
		time.Sleep(3 * time.Second)
		x.gone()
	}
}

func forEver(t *testing.T) {
	x, _ := registered(t, "ep=alpha&lt=0&lwm2m=1.1&b=U", links)
	time.Sleep(20 * time.Hour)
	if r := x.registration(); !r.ExpiresAt.IsZero() {
		t.Errorf("expires at %v", r.ExpiresAt)
	}
}

func requestEnds(t *testing.T) {
	x, d := registered(t, query11, links)
	d.on("GET /3/0/0", func(message) reply { return reply{code: 1} }) // acknowledged, never answered
	ended := make(chan error, 1)
	go func() {
		_, err := x.Read(t.Context(), "alpha", path("/3/0/0"))
		ended <- err
	}()
	synctest.Wait()
	d.register(query11, links)
	if err := <-ended; !errors.Is(err, server.ErrEnded) {
		t.Errorf("Read = %v, want %v", err, server.ErrEnded)
	}
}

func observationsReturn(t *testing.T) {
	x, d := registered(t, query11, links)
	old := x.observed(d, "/3/0/9")
	d.register(query11, links)
	synctest.Wait()
	asked := d.wants("GET /3/0/9 observe=0")
	if len(asked) == 0 || asked[0].token == old {
		t.Fatal("not observed anew")
	}
	if d.notify(non, old, 9, text("5")) != rst {
		t.Error("a notification of the old registration is not reset")
	}
	d.notify(non, asked[0].token, 9, text("7"))
	if v := x.value("/3/0/9"); v != "7" {
		t.Errorf("value %s", v)
	}
}

func registerTwice(t *testing.T) {
	x, d := registered(t, query11, links)
	m := message{typ: con, code: 2, id: 900, token: "twice", payload: links, options: []option{
		{optPath, "rd"},
		{optQuery, "ep=alpha"},
		{optQuery, "lt=60"},
		{optQuery, "lwm2m=1.1"},
		{optQuery, "b=U"},
		uintOption(optFormat, linkFormat),
	}}
	c := make(chan message, 16)
	d.mu.Lock()
	d.replies["twice"] = c
	d.mu.Unlock()
	d.send(m.bytes())
	first := <-c
	d.send(m.bytes())
	var second message
	select {
	case second = <-c:
	case <-time.After(time.Minute):
	}
	if first.texts(optLocation, "/", "/") != second.texts(optLocation, "/", "/") || second.number() != 201 {
		t.Errorf("answers %v, %v", first, second)
	}
	if n := x.store.Registrations(); n != 1 {
		t.Errorf("%d registrations", n)
	}
}

func codes(t *testing.T) {
	x := newWorld(t)
	d, named := x.device(""), x.device("alpha")
	for _, c := range []struct {
		d           *device
		method      byte
		path, query string
		format      int
		body        string
		want        int
	}{
		{d, 2, "/rd", "ep=b&lt=60&lwm2m=2.0&b=U", linkFormat, links, 412},
		{d, 2, "/rd", "ep=b&lt=60&lwm2m=x&b=U", linkFormat, links, 412},
		{d, 2, "/rd", "ep=b&lt=60&lwm2m=1.2&pid=6:27354b9a", -1, "", 409},
		{d, 2, "/rd", "ep=b&lt=x&lwm2m=1.1&b=U", linkFormat, links, 400},
		{d, 2, "/rd", "ep=b&lt=-1&lwm2m=1.1&b=U", linkFormat, links, 400},
		{d, 2, "/rd", "lt=60&lwm2m=1.1&b=U", linkFormat, links, 400},
		{d, 2, "/rd", "ep=b&lwm2m=1.1&b=U", linkFormat, links, 400},
		{named, 2, "/rd", "ep=b&lt=60&lwm2m=1.1&b=U", linkFormat, links, 400},
		{named, 2, "/rd", "lt=60&lwm2m=1.1&b=U", linkFormat, links, 201},
		{d, 2, "/rd/nobody", "", -1, "", 404},
		{d, 4, "/rd/nobody", "", -1, "", 404},
		{d, 2, "/dp", "", 110, `[{"n":"/3/0/9","v":1}]`, 404}, // nobody registered there
		{named, 2, "/dp", "", 110, `[{"n":"/6/0/0","v":1}]`, 404},
		{named, 2, "/dp", "", 110, `[{"n":"/3/0/9","v":`, 400},
		{named, 1, "/rd", "", -1, "", 405},
		{named, 2, "/nothing", "", -1, "", 404},
	} {
		if m := c.d.do(c.method, c.path, c.query, c.format, c.body); m.number() != c.want {
			t.Errorf("%d %s?%s: %d %q, want %d", c.method, c.path, c.query, m.number(), m.payload, c.want)
		}
	}
}

func unknownParameters(t *testing.T) {
	x, d := registered(t, query11+"&colour=blue&flag", links+`,</5>;foo="bar";baz,</30000/0>;ver=1.0`)
	r := x.registration()
	if strings.Join(r.Unknown, " ") != "colour=blue flag" {
		t.Errorf("unknown %q", r.Unknown)
	}
	if !r.Has(path("/30000/0")) {
		t.Errorf("objects %v", r.Objects)
	}
	d.update("mood=good", 204)
}

func linkForms(t *testing.T) {
	x, _ := registered(t, query11,
		`</>;rt="oma.lwm2m";ct="60 112", </1/0/>, </3/0>;ver="1.1",</10>;ver=1.1,</10/0>, </5/>,</6>`)
	r := x.registration()
	for _, p := range []string{"/1/0", "/3/0", "/10/0", "/5", "/6"} {
		if !r.Has(path(p)) {
			t.Errorf("%s is missing in %v", p, r.Objects)
		}
	}
	for object, want := range map[uint16]string{3: "1.1", 10: "1.1", 1: "1.1", 5: "1.0"} {
		if got, ok := r.ObjectVersion(object); !ok || got != want {
			t.Errorf("object %d is of version %q, want %q", object, got, want)
		}
	}
}

func alternatePath(t *testing.T) {
	x, d := registered(t, query11, `</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/1/0>,</lwm2m/3/0>`)
	d.says("GET /lwm2m/3/0", 205, "110", hexOf(`[{"bn":"/lwm2m/3/0/","n":"9","v":3}]`))
	same(t, "Read", x.read("/3/0"), []string{"/3/0/9=3"})
	d.says("PUT /lwm2m/1/0/1", 204)
	x.write("/1/0/1", lwm2m.Integer(60))
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/lwm2m/3/0/9","v":4}]`), 204)
	if v := x.value("/3/0/9"); v != "4" {
		t.Errorf("value %q", v)
	}
}

// inBlocks sends a body of a request in blocks of 64 bytes.
func (d *device) inBlocks(path, query string, format int, body string) message {
	d.t.Helper()
	for n := uint32(0); ; n++ {
		block, more := body[64*n:], uint32(0)
		if len(block) > 64 {
			block, more = block[:64], 8
		}
		m := d.do(2, path, query, format, block, uintOption(optBlock1, n<<4|more|2))
		if m.number() != 231 || more == 0 {
			return m
		}
	}
}

func blocks(t *testing.T) {
	x := newWorld(t)
	d := x.device("")
	var list strings.Builder
	list.WriteString(links)
	for i := range 200 {
		fmt.Fprintf(&list, ",</32769/%d>", i)
	}
	long := list.String()
	m := d.expect("Register", d.inBlocks("/rd", query11, linkFormat, long), 201)
	if !x.registration().Has(path("/32769/199")) {
		t.Error("the end of the body is missing")
	}
	d.location = m.texts(optLocation, "/", "/")
	d.expect("Update", d.inBlocks(d.location, "", linkFormat, long+",</5/0>"), 204)
	if !x.registration().Has(path("/5/0")) {
		t.Error("the end of the body is missing")
	}
	body := `[{"bn":"/3/0/","n":"9","v":1}` + strings.Repeat(" ", 300) + `,{"n":"10","v":77}]`
	d.expect("Send", d.inBlocks("/dp", "", 110, body), 204)
	if v := x.value("/3/0/10"); v != "77" {
		t.Errorf("value %q", v)
	}
}

func longAnswer(t *testing.T) {
	x, d := registered(t, query11, links)
	want := strings.Repeat("0123456789", 500)
	d.on("GET /3/0/0", func(message) reply { return reply{code: 205, body: want} })
	same(t, "Read", x.read("/3/0/0"), []string{"/3/0/0=" + want})
}

func brokenPush(t *testing.T) {
	x, d, f := firmwareWorld(t)
	broken := make(chan error, 1)
	d.hears(false)
	value := []lwm2m.Entry{entry("/5/0/0", lwm2m.Opaque([]byte(image)))}
	go func() { broken <- x.Write(t.Context(), "alpha", path("/5/0/0"), value, server.Replace) }()
	if err := <-broken; err == nil {
		t.Error("a push that nobody hears succeeds")
	}
	d.hears(true)
	x.must("Write", x.Write(t.Context(), "alpha", path("/5/0/0"), value, server.Replace))
	if f.got != image {
		t.Errorf("package of %d bytes", len(f.got))
	}
}

func withoutQueue(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=3600&lwm2m=1.1&b=U&Q", links)
	d.update("b=U", 204)
	if p := x.Presence("alpha"); p.Queue {
		t.Errorf("presence %+v", p)
	}
}

func wakes(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=86400&lwm2m=1.1&b=U&Q", links)
	token := x.observed(d, "/3/0/9")
	for name, speak := range map[string]func(){
		"Update": func() { d.update("", 204) },
		"Send":   func() { d.do(2, "/dp", "", 110, `[{"n":"/3/0/9","v":1}]`) },
		"Notify": func() { d.notify(con, token, uint32(time.Now().Unix()&0xffff), text("5")) },
	} {
		time.Sleep(100 * time.Second)
		if !x.Presence("alpha").Asleep {
			t.Errorf("before %s: awake", name)
		}
		speak()
		synctest.Wait()
		if x.Presence("alpha").Asleep {
			t.Errorf("%s does not wake", name)
		}
	}
}
