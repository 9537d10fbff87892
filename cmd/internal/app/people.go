package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web/account"
)

// A People changes people of a provider that does not run: whoever may write its
// directory lets in an administrator who was lost.
type People struct {
	*account.Accounts

	cfg config.Config
	dir *directory
	db  *sqlite.DB
}

// OpenPeople opens a provider's data directory. It returns ErrLocked while the
// provider runs.
func OpenPeople(ctx context.Context, cfg config.Config) (*People, error) {
	dir, err := openDirectory(cfg.Data)
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, dir.file(fileDB))
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &People{account.New(account.Options{Stores: db.Accounts()}), cfg, dir, db}, nil
}

// Address returns where a sign-in link leads once the provider runs.
func (p *People) Address(link string) string { return dashboardURL(p.cfg) + "/sign-in?link=" + link }

// Now returns the time.
func (p *People) Now() time.Time { return time.Now() }

// Close gives the directory free.
func (p *People) Close() error { return errors.Join(p.db.Close(), p.dir.Close()) }

// CheckAudit has c look at the audit rows of a provider, which may run, and shows each
// to see.
func CheckAudit(ctx context.Context, data string, c *audit.Checker, see func(audit.Record)) error {
	return sqlite.CheckAudit(ctx, filepath.Join(data, fileDB), c, see)
}
