package sim_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/objects"
	"steward/transfer"
)

// A mirror is a network between devices and one provider that duplicates every
// datagram, holds every fourth back for a moment, and keeps all of them.
type mirror struct {
	front  *net.UDPConn
	server *net.UDPAddr

	mu    sync.Mutex
	up    map[string]*net.UDPConn // to the provider, by the device's address
	count int
	again []func() // sends of all that passed
	all   [][]byte // that passed
	muted bool     // nothing reaches the provider
	ended bool
	said  int      // datagrams that did not reach it
	downs [][]byte // that the provider sent
	inner func([]byte)
}

// mirrored puts a mirror before p, for whoever asks for its URI from now on.
func mirrored(t *testing.T, p *provider) *mirror {
	t.Helper()
	address, err := net.ResolveUDPAddr("udp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{front: front, server: address, up: map[string]*net.UDPConn{}}
	p.addr = front.LocalAddr().String()
	var running sync.WaitGroup
	running.Go(func() { m.run(&running) })
	t.Cleanup(func() {
		_ = front.Close()
		m.mu.Lock()
		m.ended = true
		for _, c := range m.up {
			_ = c.Close()
		}
		m.mu.Unlock()
		running.Wait()
	})
	return m
}

func (m *mirror) run(running *sync.WaitGroup) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := m.front.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		m.mu.Lock()
		if m.ended {
			m.mu.Unlock()
			return
		}
		if m.muted {
			m.said++
			m.mu.Unlock()
			continue
		}
		up := m.up[from.String()]
		if up == nil {
			if up, err = net.DialUDP("udp", nil, m.server); err != nil {
				m.mu.Unlock()
				return
			}
			m.up[from.String()] = up
			running.Go(func() { m.down(up, from) })
		}
		m.mu.Unlock()
		m.pass(buffer[:n], func(d []byte) { _, _ = up.Write(d) }) // lost, like any datagram
	}
}

func (m *mirror) down(up *net.UDPConn, to *net.UDPAddr) {
	buffer := make([]byte, 65536)
	for {
		n, err := up.Read(buffer)
		if err != nil {
			return
		}
		send := func(d []byte) { _, _ = m.front.WriteToUDP(d, to) }
		m.mu.Lock()
		m.downs, m.inner = append(m.downs, slices.Clone(buffer[:n])), send
		m.mu.Unlock()
		m.pass(buffer[:n], send)
	}
}

func (m *mirror) pass(datagram []byte, send func([]byte)) {
	datagram = append([]byte(nil), datagram...)
	m.mu.Lock()
	m.count++
	late := m.count%4 == 0
	m.again, m.all = append(m.again, func() { send(datagram) }), append(m.all, datagram)
	m.mu.Unlock()
	if late {
		time.AfterFunc(30*time.Millisecond, func() { send(datagram); send(datagram) })
		return
	}
	send(datagram)
	send(datagram)
}

// redirect sends what devices say to another server from now on.
func (m *mirror) redirect(t *testing.T, to string) {
	t.Helper()
	address, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server = address
	for from, c := range m.up {
		_ = c.Close()
		delete(m.up, from)
	}
}

// mute keeps from the provider whatever devices say from now on; what it says arrives.
func (m *mirror) mute() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.muted, m.downs = true, nil
}

// unheard returns how many datagrams of devices did not reach the provider.
func (m *mirror) unheard() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said
}

// inject sends datagrams to the device that was spoken to last, as the provider.
func (m *mirror) inject(datagrams [][]byte) {
	m.mu.Lock()
	send := m.inner
	m.mu.Unlock()
	for _, d := range datagrams {
		if send != nil {
			send(d)
		}
	}
}

// forget begins the list of sent anew.
func (m *mirror) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.downs = nil
}

// sent returns what the provider has sent since it hears nothing.
func (m *mirror) sent() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.downs)
}

// captured returns all that has passed, both ways.
func (m *mirror) captured() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// replay sends all that has passed once more, in the order of then.
func (m *mirror) replay() int {
	m.mu.Lock()
	all := append([]func(){}, m.again...)
	m.mu.Unlock()
	for _, send := range all {
		send()
	}
	return len(all)
}

// TestT8NetworkAttacker hands a device over through networks that duplicate,
// reorder, hold and re-inject: no order is carried out twice or at another time.
// It is of row T8 of the transfer protocol (§9).
func TestT8NetworkAttacker(t *testing.T) {
	t.Parallel()
	m := &move{
		t: t, alpha: newProvider(t, "alpha"), beta: newProvider(t, "beta"), f: newFactory(t), grace: 60, dir: t.TempDir(),
	}
	before, after := mirrored(t, m.alpha), mirrored(t, m.beta)
	m.b = m.f.device(endpoint, m.alpha)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	before.replay()
	m.awaitState(m.alpha, transfer.Ready)
	abort := transferBase.Child(objects.TransferAbort)
	if err := m.alpha.srv.Execute(t.Context(), endpoint, abort, m.order()); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Expired)
	before.replay() // the message of the aborted transfer is among them
	m.awaitState(m.alpha, transfer.Expired)

	m.prepare()
	before.replay() // the abort is among them
	m.awaitState(m.alpha, transfer.Ready)
	m.commit()
	r.await(sim.Committed)
	before.replay()
	m.open()
	r.await(sim.Done)
	after.replay()
	before.replay()
	m.finish()
	r.await(sim.Finalised)
	if n := before.replay() + after.replay(); n < 100 {
		t.Errorf("only %d datagrams were captured", n)
	}
	m.awaitState(m.beta, transfer.Finalised)
	if epoch, _ := m.beta.read(endpoint, transferEpoch).Uint(); epoch != 2 {
		t.Errorf("epoch %d, want 2", epoch)
	}
}

// TestT2RogueServers: a server under the right CA, with a certificate that was
// issued for something else, is no server. It is of row T2 of the transfer protocol (§9).
func TestT2RogueServers(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	other := esttest.NewDevice(t, f.ca, "127.0.0.1")
	esttest.Grant(t, alpha.ca, f.ca, other)
	if _, err := alpha.ca.OpenRight(t.Context(), other.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	key := esttest.Key(t)
	device, err := alpha.ca.Enrol(t.Context(), est.Request{Client: other.Client(), CSR: esttest.CSR(t, key, "127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := alpha.ca.IssueServer(t.Context(), "192.0.2.1", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	issuing := alpha.ca.Certificate().Raw
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
	}{
		{"operational certificate of a device", tls.Certificate{Certificate: [][]byte{device.DER, issuing}, PrivateKey: key}},
		{"factory certificate of a device", tls.Certificate{Certificate: [][]byte{other.DER}, PrivateKey: other.Key}},
		{"server certificate of another host", tls.Certificate{
			Certificate: [][]byte{elsewhere.DER, issuing}, PrivateKey: key,
		}},
		{"transfer signer", tls.Certificate{
			Certificate: [][]byte{alpha.signer.Certificate, issuing}, PrivateKey: alpha.signer.Key,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rogue := newProvider(t, "rogue")
			rogue.stop()
			rogue.cert = &tt.certificate
			rogue.start()
			for i, redirect := range []func(server, enrol *string){
				func(_, enrol *string) { *enrol = rogue.uri() },
				func(server, _ *string) { *server = rogue.uri() },
			} {
				b := f.device(strings.Repeat("x", i+1)+strings.ReplaceAll(tt.name, " ", ""), alpha)
				redirect(&b.Provider.ServerURI, &b.Provider.EnrollURI)
				f.grant(rogue, b)
				r := start(t, b, options(t.TempDir()))
				if e := r.await(sim.Retrying); e.Error == "" {
					t.Errorf("event %+v, want the reason", e)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				if n := rogue.listener.Stats().Handshakes; n != 0 {
					t.Errorf("%d handshakes completed with the rogue", n)
				}
			}
		})
	}
}

// TestT19StolenManagementKey: whoever holds the key of the present LwM2M server,
// and no signer, moves nothing: he can stage anchors, but give them no right.
// It is of row T19 of the transfer protocol (§9).
func TestT19StolenManagementKey(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	thief := newProvider(t, "thief")
	create := func(purposes transfer.Purposes) error {
		base := lwm2m.NewPath(objects.DefaultIDs.Truststore, 77)
		a := objects.Anchor{Certificate: thief.signer.Certificate, Purposes: uint64(purposes)}
		_, err := m.alpha.srv.Create(t.Context(), endpoint, base.Prefix(1), 77, a.Entries(base))
		return err
	}
	for _, purposes := range []transfer.Purposes{
		transfer.TransferSigner, transfer.SUITSigner, transfer.MandateSigner, transfer.Fallback,
	} {
		if err := create(purposes); err == nil {
			t.Errorf("an anchor for %q was created", purposes)
		}
	}
	if err := create(transfer.DM); err != nil {
		t.Fatal(err)
	}
	raise := lwm2m.NewPath(objects.DefaultIDs.Truststore, 77, objects.TruststorePurposes)
	if err := m.alpha.write(raise, lwm2m.Unsigned(uint64(transfer.TransferSigner))); err == nil {
		t.Error("signer bits were set")
	}
	if err := m.alpha.srv.Delete(t.Context(), endpoint, raise.Prefix(2)); err != nil {
		t.Fatal(err)
	}
	m.stage()
	own := m.alpha.signer
	m.alpha.signer = thief.signer
	forged := m.build()
	m.alpha.signer = transfer.Signer{Key: thief.signer.Key, Certificate: own.Certificate}
	impersonated := m.build()
	m.alpha.signer = own
	for check, raw := range map[int64][]byte{2: forged, 3: impersonated} {
		if err := m.alpha.write(transferMessage, lwm2m.Opaque(raw)); err == nil {
			t.Errorf("message with another signer was accepted, want E%d", check)
		}
		if got, _ := m.alpha.read(endpoint, transferBase.Child(objects.TransferError)).Int(); got != check {
			t.Errorf("error E%d, want E%d", got, check)
		}
	}
	if err := m.alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, thief.suit, "9", 9, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(sim.UpdateFailed)
	m.awaitState(m.alpha, transfer.Idle)
}
