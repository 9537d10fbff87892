package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/app"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/dtls"
	"steward/lwm2m/fleet"
	lwm2mserver "steward/lwm2m/server"
)

// Identities are what the devices of a run prove themselves by.
type identities struct {
	n           int
	first       int // number of the first, in its name
	psk         []byte
	key         *ecdsa.PrivateKey // of all devices of our own: the server does not care
	chains      [][]byte          // leaf of each, DER
	certificate *tls.Certificate  // of all, at a server of others; nil: none
	anchor      *x509.Certificate // the server's root; nil: any server is believed
}

// errServerChain reports a server that is not the one we started.
var errServerChain = errors.New("server's chain does not end at its root")

// name returns the endpoint name of a device.
func (f *identities) name(i int) string { return fmt.Sprintf("bench-%06d", f.first+i) }

// upTo returns the first n.
func (f *identities) upTo(n int) *identities {
	o := *f
	o.n = n
	return &o
}

// rest returns those from the i-th on.
func (f *identities) rest(i int) *identities {
	o := *f
	o.n, o.first = f.n-i, f.first+i
	if f.chains != nil {
		o.chains = f.chains[i:]
	}
	return &o
}

// client returns the credentials of a device.
func (f *identities) client(i int) dtls.ClientOptions {
	if len(f.psk) > 0 {
		return dtls.ClientOptions{PSKIdentity: []byte(f.name(i)), PSK: f.psk}
	}
	o := dtls.ClientOptions{Certificate: f.certificate, Verify: f.verify}
	if f.certificate == nil {
		o.Certificate = &tls.Certificate{Certificate: [][]byte{f.chains[i]}, PrivateKey: f.key}
	}
	return o
}

// verify makes sure that it is the right server that is measured, at the price
// of one look: the generator's verifications are not what is measured.
func (f *identities) verify(chain [][]byte) error {
	if f.anchor == nil {
		return nil
	}
	for _, der := range chain {
		if c, err := x509.ParseCertificate(der); err == nil && string(c.RawIssuer) == string(f.anchor.RawSubject) {
			return nil
		}
	}
	return errServerChain
}

func foreignIdentities(t *Target, n int) *identities {
	return &identities{n: n, psk: t.PSK, certificate: t.Certificate}
}

// The parts of a provider's data directory that are written here directly.
const (
	folderData = "data"
	fileDB     = "steward.db"
	folderKeys = "keys"
	folderPKI  = "pki"
	// folderMachine holds the key that encrypts the others.
	folderMachine = "machine"
)

func dataDir(dir string) string { return filepath.Join(dir, folderData) }

// paths are what the server may want observed of each device.
func paths() [maxPaths]lwm2m.Path {
	const temperature = 3303
	return [maxPaths]lwm2m.Path{
		lwm2m.NewPath(temperature, 0, 5700), lwm2m.NewPath(temperature, 0, 5601), lwm2m.NewPath(temperature, 0, 5602),
	}
}

// makeIdentities makes a provider in dir that owns n devices and wants the first
// observed paths of each. The devices have operational certificates as the
// provider's CA issues them, each its own; they are written into the provider's
// inventory directly, for enrolling a hundred thousand takes minutes.
func makeIdentities(ctx context.Context, dir string, n, observed int) (f *identities, err error) {
	cfg, err := serverConfig(dataDir(dir), "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a, err := app.New(ctx, cfg, slog.New(slog.DiscardHandler)) // makes the CA and its keys
	if err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	p := &provision{n: n, observed: observed}
	if p.issuer, p.issuerHash, err = loadIssuer(cfg.Data); err != nil {
		return nil, err
	}
	f = &identities{n: n, chains: make([][]byte, n)}
	if f.anchor, err = loadCertificate(cfg.Data, keys.Root); err != nil {
		return nil, err
	}
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if p.db, err = sqlite.Open(ctx, filepath.Join(cfg.Data, fileDB)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.db.Close()) }()
	return f, p.fill(ctx, f)
}

func loadIssuer(data string) (*est.Issuer, est.Hash, error) {
	ring, err := keys.Open(keys.Options{
		Dir: filepath.Join(data, folderKeys), Machine: filepath.Join(data, folderMachine, "key"),
	})
	if err != nil {
		return nil, est.Hash{}, err
	}
	key, err := ring.Find(keys.Issuing)
	if err != nil {
		return nil, est.Hash{}, err
	}
	cert, err := loadCertificate(data, keys.Issuing)
	if err != nil {
		return nil, est.Hash{}, err
	}
	issuer, err := est.NewIssuer(key, cert, nil)
	return issuer, sha256.Sum256(cert.Raw), err
}

func loadCertificate(data string, name keys.Name) (*x509.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(data, folderPKI, string(name)+".pem"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: certificate of %s", ErrServer, name)
	}
	return x509.ParseCertificate(block.Bytes)
}

// A provision writes devices into a provider's database.
type provision struct {
	db         *sqlite.DB
	issuer     *est.Issuer
	issuerHash est.Hash
	n          int
	observed   int
}

// batch is how many devices one transaction brings.
const batch = 500

// fill makes all devices, in batches, as many at once as there are processors;
// the database joins their transactions.
func (p *provision) fill(ctx context.Context, f *identities) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < p.n; first += batch {
		g.Go(func() error { return p.issue(ctx, f, first, min(first+batch, p.n)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	const writers = 128 // they wait for one commit together
	own, ctx := errgroup.WithContext(ctx)
	own.SetLimit(writers)
	ctx = context.WithoutCancel(ctx) // the first group's ends with it
	for i := range p.n {
		own.Go(func() error { return p.own(ctx, f, i) })
	}
	return own.Wait()
}

// issue makes the certificates of a batch and records them.
func (p *provision) issue(ctx context.Context, f *identities, from, to int) error {
	profile := est.DefaultProfiles().Operational
	now := time.Now().UTC().Truncate(time.Microsecond)
	records := make([]est.Record, 0, to-from)
	for i := from; i < to; i++ {
		token, err := p.issuer.Prepare(profile, est.Subject{Name: f.name(i), Key: f.key.Public()}, now)
		if err != nil {
			return err
		}
		c, err := p.issuer.Issue(token)
		if err != nil {
			return err
		}
		f.chains[i] = c.Raw
		records = append(records, est.Record{
			Hash: sha256.Sum256(c.Raw), Issuer: p.issuerHash, Serial: fmt.Sprintf("%x", c.SerialNumber),
			SPKI: sha256.Sum256(c.RawSubjectPublicKeyInfo), Kind: est.KindOperational, Profile: "operational",
			Name: c.Subject.CommonName, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), IssuedAt: now,
			DER: c.Raw, Version: 1, Status: est.StatusValid,
		})
	}
	return p.db.Inventory().Commit(ctx, est.Change{Insert: records})
}

// deviceID is as long as a ULID.
func deviceID(i int) fleet.ID { return fleet.ID(fmt.Sprintf("01BENCH%019d", i)) }

// own makes the device behind a certificate.
func (p *provision) own(ctx context.Context, f *identities, i int) error {
	id := deviceID(i)
	d := fleet.Device{ID: id, Endpoint: lwm2m.Endpoint(f.name(i)), Ownership: fleet.Owned, CreatedAt: time.Now()}
	if err := p.db.Devices().Put(ctx, d, actor, "prepared"); err != nil {
		return err
	}
	wanted := paths()
	for _, path := range wanted[:p.observed] {
		if err := p.db.Server().Want(ctx, id, lwm2mserver.Node(path), true, actor); err != nil {
			return err
		}
	}
	return nil
}

const actor = "system" // of audit rows
