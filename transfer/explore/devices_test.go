package explore_test

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"steward/transfer"
)

// A deviceID names a state of a device's memory.
type deviceID uint16

// deviceState is one such state, with what is asked of it often.
type deviceState struct {
	record  []byte
	status  transfer.Status
	next    transfer.Effect
	busy    bool   // next is something
	key     keyID  // of next, for DoEnrol
	cert    certID // operational
	receipt receiptID
	runs    uint8                // see revise_test.go
	trusts  [2]transfer.Purposes // what the anchors of either provider count for
	party   [2]transfer.Party    // what either provider's server is to the objects
}

// A keyID, certID and receiptID name what was made on the way. Zero is none.
type (
	keyID     uint8
	certID    uint8
	receiptID uint8
)

// devices are all memory states that were met, and the transitions between them: each
// is performed once, by the real machine on its real journal.
type devices struct {
	tb    testing.TB
	p     *parts
	all   []deviceState
	ids   map[string]deviceID
	done  map[step]outcome
	cuts  map[step]restarts
	key   string // name of the next key made
	runs  uint8  // what the device runs that is started next
	keys  []transfer.Hash
	certs [][]byte
	of    map[[2]uint8]certID // by CA and key
	raw   [][]byte            // receipts
	hash  map[transfer.Hash]receiptID
	broke string // what broke an invariant of the device in the last expansion
}

type step struct {
	from deviceID
	do   string
}

type outcome struct {
	to    deviceID
	err   error
	broke string
}

type restarts struct {
	in    []deviceID
	broke string
}

func newDevices(tb testing.TB, p *parts) *devices {
	tb.Helper()
	return &devices{
		tb: tb, p: p, ids: map[string]deviceID{}, done: map[step]outcome{}, cuts: map[step]restarts{},
		keys: make([]transfer.Hash, 1), certs: make([][]byte, 1), of: map[[2]uint8]certID{}, raw: make([][]byte, 1),
		hash: map[transfer.Hash]receiptID{},
	}
}

func (x *devices) options(j transfer.Journal) transfer.DeviceOptions {
	return transfer.DeviceOptions{
		Journal: j, FactoryKey: x.p.factory.key, FactoryCertificate: x.p.factory.cert.Raw,
		NewKey: func() (crypto.Signer, error) { return keyOf(x.key), nil }, ReadyLimit: grace,
		Firmware: func() ([]transfer.Installed, bool) { return runs[x.runs], false },
	}
}

// first is a device that is enrolled and registered at Alpha.
func (x *devices) first() deviceID {
	j := &transfer.MemoryJournal{}
	anchors := append([]transfer.Anchor{}, x.p.permanents...)
	anchors = append(anchors,
		x.p.ca1.anchor(transfer.Enrol|transfer.DM|transfer.Update, transfer.Current),
		x.p.sp1.anchor(transfer.TransferSigner|transfer.SUITSigner, transfer.Current))
	check(x.tb, transfer.Provision(j, x.p.home, anchors))
	x.key = "operational"
	d, err := transfer.OpenDevice(x.options(j))
	check(x.tb, err)
	key, err := d.EnrolmentKey()
	check(x.tb, err)
	check(x.tb, d.SetOperational(x.certs[x.issue(1, x.keyID(key.Public()))]))
	return x.intern(d, j)
}

// keyID names a key.
func (x *devices) keyID(public crypto.PublicKey) keyID {
	h, err := transfer.SPKIHash(public)
	check(x.tb, err)
	return x.hashID(h)
}

func (x *devices) hashID(h transfer.Hash) keyID {
	if h.IsZero() {
		return 0
	}
	for i, k := range x.keys {
		if k == h {
			return keyID(i)
		}
	}
	x.keys = append(x.keys, h)
	return keyID(len(x.keys) - 1)
}

// issue is the certificate of a CA, 1 or 2, for a key. What key that is, the table of
// names says: a CA of the model certifies keys by their hash.
func (x *devices) issue(ca uint8, k keyID) certID {
	if id, ok := x.of[[2]uint8{ca, uint8(k)}]; ok {
		return id
	}
	issuer := &x.p.ca1
	if ca == 2 {
		issuer = &x.p.ca2
	}
	for _, name := range append([]string{"operational", "back", "thief", "fresh"}, nextKeys...) {
		key := keyOf(name)
		if h, _ := transfer.SPKIHash(key.Public()); h == x.keys[k] {
			x.certs = append(x.certs, certificate(x.tb, x.p.subject, key.Public(), issuer, nil).Raw)
			id := certID(len(x.certs) - 1)
			x.of[[2]uint8{ca, uint8(k)}] = id
			return id
		}
	}
	x.tb.Fatal("a key without a name")
	return 0
}

// fresh is the key with which a device renews its certificate.
func (x *devices) fresh() keyID { return x.keyID(keyOf("fresh").Public()) }

// keyIn is the key in a certificate that issue has made.
func (x *devices) keyIn(cert certID) keyID {
	for by, id := range x.of {
		if id == cert {
			return keyID(by[1])
		}
	}
	return 0
}

// certID names a certificate that issue has made.
func (x *devices) certID(h transfer.Hash) certID {
	for i, c := range x.certs {
		if i > 0 && transfer.HashOf(c) == h {
			return certID(i)
		}
	}
	return 0
}

// The labels of the journal's record that only count: how often and how long.
const (
	labelBoots    = 4
	labelInState  = 5
	labelSince    = 6
	labelReceipt  = 18
	labelAttempts = 25
	labelTurns    = 26
)

// canonical is a record without what only counts, and without signatures.
func (x *devices) canonical(record []byte, receipt receiptID) string {
	var m map[uint64]cbor.RawMessage
	check(x.tb, cbor.Unmarshal(record, &m))
	for _, label := range []uint64{labelBoots, labelInState, labelSince, labelReceipt, labelAttempts} {
		delete(m, label)
	}
	if string(m[labelTurns]) != "\x00" {
		m[labelTurns] = cbor.RawMessage{1}
	}
	raw, err := encoder.Marshal(m)
	check(x.tb, err)
	return fmt.Sprint(receipt) + string(raw)
}

var encoder = must(cbor.CoreDetEncOptions().EncMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// receiptID names a receipt by its hash, which does not cover the signatures.
func (x *devices) receiptID(raw []byte) receiptID {
	if len(raw) == 0 {
		return 0
	}
	signed, err := transfer.ParseReceipt(raw)
	check(x.tb, err)
	if id, ok := x.hash[signed.Hash]; ok {
		return id
	}
	x.raw = append(x.raw, raw)
	x.hash[signed.Hash] = receiptID(len(x.raw) - 1)
	return x.hash[signed.Hash]
}

// open starts the device in that state. It always counts the same boot, so that what
// it signs does not depend on how often it has started.
func (x *devices) open(id deviceID) (*transfer.Device, *transfer.MemoryJournal) {
	j := &transfer.MemoryJournal{}
	check(x.tb, j.Save(x.all[id].record))
	x.runs = x.all[id].runs
	return x.start(j), j
}

func (x *devices) start(j *transfer.MemoryJournal) *transfer.Device {
	var m map[uint64]cbor.RawMessage
	check(x.tb, cbor.Unmarshal(j.Record(), &m))
	m[labelBoots] = cbor.RawMessage{0}
	check(x.tb, j.Save(must(encoder.Marshal(m))))
	d, err := transfer.OpenDevice(x.options(j))
	if err != nil {
		x.fault("the device does not start: %v", err)
	}
	return d
}

// fault notes what no device may ever do.
func (x *devices) fault(format string, args ...any) {
	if x.broke == "" {
		x.broke = fmt.Sprintf(format, args...)
	}
}

// again notes what a transition broke that was performed before.
func (x *devices) again(broke string) { x.broke = cmp.Or(x.broke, broke) }

// intern names the state of a device.
func (x *devices) intern(d *transfer.Device, j *transfer.MemoryJournal) deviceID {
	s := deviceState{record: j.Record(), status: d.Status(), runs: x.runs}
	s.receipt = x.receiptID(s.status.Receipt)
	key := fmt.Sprint(s.runs) + x.canonical(s.record, s.receipt)
	if id, ok := x.ids[key]; ok {
		return id
	}
	s.next, s.busy = d.Next()
	if s.next.Do == transfer.DoEnrol && s.next.Key != nil {
		s.key = x.keyID(s.next.Key.Public())
	}
	if _, der, ok := d.Operational(); ok {
		s.cert = x.certID(transfer.HashOf(der))
	}
	for i, owner := range [2][]party{{x.p.ca1, x.p.sp1}, {x.p.ca2, x.p.sp2}} {
		host := must(transfer.HostOf([]string{uriAlpha, uriBeta}[i]))
		s.party[i] = d.PartyOf(transfer.ThumbprintOf(owner[0].cert.Raw), host)
		for _, purpose := range purposes {
			for _, a := range d.Trusted(purpose) {
				if a.Thumbprint() == transfer.ThumbprintOf(owner[0].cert.Raw) ||
					a.Thumbprint() == transfer.ThumbprintOf(owner[1].cert.Raw) {
					s.trusts[i] |= purpose
				}
			}
		}
	}
	x.all = append(x.all, s)
	x.ids[key] = deviceID(len(x.all) - 1)
	return x.ids[key]
}

var purposes = []transfer.Purposes{
	transfer.Enrol, transfer.DM, transfer.Bootstrap, transfer.Update, transfer.RA, transfer.SUITSigner,
	transfer.TransferSigner, transfer.Fallback,
}

// do performs something with a device, once for each of its states.
func (x *devices) do(from deviceID, name string, f func(*transfer.Device) error) (deviceID, error) {
	k := step{from, name}
	if out, ok := x.done[k]; ok {
		x.again(out.broke)
		return out.to, out.err
	}
	before := x.broke
	x.broke = ""
	d, j := x.open(from)
	err := f(d)
	out := outcome{to: x.intern(d, j), err: err}
	if err != nil && out.to != from {
		x.fault("%s is refused and changes the device: %v", name, err)
	}
	x.epochs(from, out.to, name)
	out.broke, x.broke = x.broke, cmp.Or(before, x.broke)
	x.done[k] = out
	return out.to, out.err
}

// epochs is I5: the epoch rises by one with a message that is accepted, and never
// otherwise.
func (x *devices) epochs(from, to deviceID, name string) {
	before, after := x.all[from].status, x.all[to].status
	rises := uint32(0)
	if before.State != transfer.Ready && after.State == transfer.Ready {
		rises = 1
	}
	if after.Epoch != before.Epoch+rises {
		x.fault("I5: %s: epoch %d becomes %d, %s becomes %s", name, before.Epoch, after.Epoch, before.State, after.State)
	}
}

// cutAt performs something with a device whose power is cut at each write in turn,
// and returns the states in which it can start again.
func (x *devices) cutAt(from deviceID, name string, f func(*transfer.Device) error) []deviceID {
	k := step{from, name}
	if out, ok := x.cuts[k]; ok {
		x.again(out.broke)
		return out.in
	}
	before := x.broke
	x.broke = ""
	var out []deviceID
	seen := map[deviceID]bool{}
	for n := 1; ; n++ {
		finished := false
		for _, lost := range []bool{true, false} {
			d, j := x.open(from)
			j.Cut(n, lost)
			err := f(d)
			finished = j.Writes() < n
			if finished {
				break
			}
			if !errors.Is(err, transfer.ErrPowerCut) {
				x.fault("%s at write %d: %v", name, n, err)
			}
			j.Cut(0, false)
			id := x.intern(x.start(j), j)
			x.epochs(from, id, name+", power cut")
			if !seen[id] {
				seen[id], out = true, append(out, id)
			}
		}
		if finished {
			break
		}
	}
	x.cuts[k] = restarts{out, x.broke}
	x.broke = cmp.Or(before, x.broke)
	return out
}
