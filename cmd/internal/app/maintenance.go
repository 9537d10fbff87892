package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/est"
)

// A Maintenance changes the keys and the CA of a provider that does not run. Each
// change is one step: after a crash it was made, or is made by asking again.
type Maintenance struct {
	dir  *directory
	db   *sqlite.DB
	ring *keys.Ring
	pki  *pki
	cfg  config.Config
}

// commandLine is the actor of what is done by it.
const commandLine = "command-line"

// OpenMaintenance opens a provider's data directory, which is made if need be. It
// returns ErrLocked while the provider runs, and the errors of keys.Open.
func OpenMaintenance(ctx context.Context, cfg config.Config) (m *Maintenance, err error) {
	m = &Maintenance{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
			m = nil
		}
	}()
	if m.dir, err = openDirectory(cfg.Data); err != nil {
		return m, err
	}
	if m.db, err = sqlite.Open(ctx, m.dir.file(fileDB)); err != nil {
		return m, err
	}
	if m.ring, err = openRing(m.dir, cfg.Keys); err != nil {
		return m, err
	}
	m.pki = newPKI(m.dir, m.ring, cfg, m.db.Keys())
	m.pki.life.Actor = commandLine
	return m, nil
}

// Close gives the directory free.
func (m *Maintenance) Close() error {
	var errs []error
	if m.ring != nil {
		errs = append(errs, m.ring.Close())
	}
	if m.db != nil {
		errs = append(errs, m.db.Close())
	}
	if m.dir != nil {
		errs = append(errs, m.dir.Close())
	}
	return errors.Join(errs...)
}

// Begin begins the roll-over of a key. It returns est.ErrRollover where that cannot
// be now.
func (m *Maintenance) Begin(ctx context.Context, purpose keys.Name) error {
	g, err := m.pki.life.Generations(ctx, string(purpose))
	if err != nil {
		return err
	}
	if slices.Contains(told, purpose) && len(g) > 0 { // the CA certifies its successor
		err := m.pki.openCA(ctx, config.CA{}, est.Options{
			Store: m.db.Inventory(), Now: time.Now, Pointers: newPlaces(m.cfg).pointers(),
		})
		if err != nil {
			return err
		}
		m.pki.ca = m.pki.ca.As(commandLine)
	}
	return m.pki.begin(ctx, purpose)
}

// Finish puts the next key in the place of the present one, which is past then. It
// returns est.ErrRollover if there is none, or if the present root is still needed.
func (m *Maintenance) Finish(ctx context.Context, purpose keys.Name) error {
	return m.pki.finish(ctx, purpose)
}

// Withdraw gives the next key up. It returns est.ErrRollover if there is none, or if
// an issuing CA is below the root that would go.
func (m *Maintenance) Withdraw(ctx context.Context, purpose keys.Name) error {
	return m.pki.withdraw(ctx, purpose)
}

// Request returns the request of the issuing CA that will be, in PEM.
func (m *Maintenance) Request(ctx context.Context) ([]byte, error) { return m.pki.request(ctx) }

// Install takes in the chain that the CA above made for the request, in PEM.
func (m *Maintenance) Install(ctx context.Context, chain []byte) error {
	return m.pki.install(ctx, chain)
}

// A KeyLine is what is shown of one generation of a key.
type KeyLine struct {
	Purpose    string     `json:"purpose"`
	Generation int        `json:"generation"`
	State      string     `json:"state"`
	Where      string     `json:"where"`
	Algorithm  string     `json:"algorithm,omitempty"` // empty without a certificate
	MadeAt     time.Time  `json:"made_at"`
	Subject    string     `json:"subject,omitempty"`
	NotAfter   *time.Time `json:"not_after,omitempty"`
	Hash       string     `json:"certificate,omitempty"`
}

// Keys lists the keys, without touching any.
func (m *Maintenance) Keys(ctx context.Context) ([]KeyLine, error) {
	all, err := m.db.Keys().KeyGenerations(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]KeyLine, 0, len(all))
	for _, g := range all {
		name := nameOf(keys.Name(g.Purpose), g.Number)
		l := KeyLine{
			Purpose: g.Purpose, Generation: g.Number, State: string(g.State), Where: m.ring.Where(name), MadeAt: g.MadeAt.UTC(),
		}
		c, err := m.pki.read(name)
		if err == nil {
			end := c.NotAfter.UTC()
			l.Subject, l.NotAfter, l.Hash = c.Subject.CommonName, &end, fmt.Sprintf("%x", sum(c.Raw))
			l.Algorithm = est.AlgorithmOf(c.PublicKey)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// EncryptKeys encrypts the keys of a provider that does not run under a passphrase,
// in place of the one that cfg gives, or of the machine's key. It returns ErrLocked
// while the provider runs, and the errors of keys.Relock.
func EncryptKeys(cfg config.Config, passphrase []byte) error {
	dir, err := openDirectory(cfg.Data)
	if err != nil {
		return err
	}
	o, err := ringOptions(dir, cfg.Keys)
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	return errors.Join(keys.Relock(o, passphrase), dir.Close())
}
