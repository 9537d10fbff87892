package app

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"steward/cmd/internal/backup"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web"
)

// dirStage is where a backup is put together.
const dirStage = "backup.tmp"

// A stage is a backup that was put together and is to be written.
type stage struct {
	dir      string
	manifest backup.Manifest
	seal     *keys.Sealer
	done     func()
	once     sync.Once
}

// WriteTo implements io.WriterTo.
func (s *stage) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	err := backup.Pack(c, s.dir, s.manifest, func(hash []byte) []byte { return s.seal.Seal(hash, backup.SealPurpose) })
	return c.n, err
}

// Close removes what was put together.
func (s *stage) Close() (err error) {
	s.once.Do(func() {
		err = os.RemoveAll(s.dir)
		s.done()
	})
	return err
}

type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Backup implements web.Upkeep: it puts a backup of the running provider together.
// What is written to it meanwhile is in it or not; all parts fit together.
func (a *App) Backup(ctx context.Context, by web.Actor) (web.BackupFile, error) {
	if !a.backingUp.TryLock() {
		return nil, &web.Error{Is: web.ErrConflict, Detail: "another backup is being made"}
	}
	seal, err := a.ring.Sealer()
	if err == nil {
		err = a.db.Audit(ctx, audit.Row{Actor: by.String(), Action: "provider.backup", Subject: "provider", At: a.now()})
	}
	var s *stage
	if err == nil {
		s, err = newStage(ctx, a.dir, a.cfg, seal, a.now())
	}
	if err != nil {
		a.backingUp.Unlock()
		return nil, err
	}
	s.done = a.backingUp.Unlock
	return s, nil
}

// BackupStopped writes a backup of a provider that does not run. It returns ErrLocked
// if it does.
func BackupStopped(ctx context.Context, cfg config.Config, w io.Writer) (err error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, fileDB)); err != nil {
		return fmt.Errorf("no provider in %s: %w", cfg.Data, err)
	}
	dir, err := openDirectory(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	ring, err := openRing(dir, cfg.Keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	seal, err := ring.Sealer()
	if err != nil {
		return err
	}
	s, err := newStage(ctx, dir, cfg, seal, time.Now())
	if err != nil {
		return err
	}
	s.done = func() {}
	_, err = s.WriteTo(w)
	return errors.Join(err, s.Close())
}

// newStage puts a backup together.
func newStage(
	ctx context.Context, d *directory, cfg config.Config, seal *keys.Sealer, now time.Time,
) (*stage, error) {
	s := &stage{dir: d.file(dirStage), seal: seal, manifest: backup.Manifest{
		Provider: cfg.Name, Program: Version, TakenAt: now.UTC().Truncate(time.Second),
	}}
	if err := os.RemoveAll(s.dir); err != nil { // of a process that was killed
		return nil, err
	}
	if err := enoughSpace(d); err != nil {
		return nil, err
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, d, cfg); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// fill copies what a backup holds. The order makes the copies fit: refreshes that reach
// the database meanwhile are in both, and what is revoked meanwhile is in the file of
// revocations at least.
func (s *stage) fill(ctx context.Context, d *directory, cfg config.Config) error {
	for _, folder := range []string{dirKeys, dirPKI, dirRefreshes} {
		if err := copyFolder(d.file(folder), filepath.Join(s.dir, folder)); err != nil {
			return err
		}
	}
	if err := s.copyDatabase(ctx, d.file(fileDB)); err != nil {
		return err
	}
	revocations := cmp.Or(cfg.Revocations, d.file(fileRevocations))
	for from, to := range map[string]string{revocations: backup.Revocations, d.file(fileReportKey): backup.ReportKey} {
		if err := ignore(copyFile(from, filepath.Join(s.dir, to)), fs.ErrNotExist); err != nil {
			return err
		}
	}
	return nil
}

// copyDatabase copies the database as it is at one moment, and checks the copy.
func (s *stage) copyDatabase(ctx context.Context, from string) error {
	to := filepath.Join(s.dir, backup.Database)
	source, err := sqlite.Inspect(ctx, from)
	if err != nil {
		return err
	}
	if err := errors.Join(source.Snapshot(ctx, to), source.Close()); err != nil {
		return err
	}
	m := &s.manifest
	m.Schema, m.AuditRows, m.AuditHash, err = examineDatabase(ctx, to)
	return err
}

// examineDatabase reads the whole of a database: its schema, the number of its audit
// rows and the hash of the last. It returns sqlite.ErrDatabase, sqlite.ErrNewer or
// audit.ErrChain.
func examineDatabase(ctx context.Context, name string) (schema int, rows int64, hash string, err error) {
	i, err := sqlite.Inspect(ctx, name)
	if err != nil {
		return 0, 0, "", err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	if err := i.Check(ctx); err != nil {
		return 0, 0, "", err
	}
	if schema, err = i.Schema(ctx); err != nil {
		return 0, 0, "", err
	}
	rows, last, err := i.VerifyAudit(ctx)
	return schema, rows, hex.EncodeToString(last[:]), err
}

// errSpace reports a disk that is too full.
var errSpace = errors.New("not enough space on the disk")

// enoughSpace returns errSpace unless the database fits on the disk once more.
func enoughSpace(d *directory) error {
	info, err := os.Stat(d.file(fileDB))
	if err != nil {
		return err
	}
	free, err := freeSpace(d.path)
	if err == nil && free < uint64(info.Size()) { //nolint:gosec // G115: a size is positive
		return fmt.Errorf("%w: a copy of the database needs %d MiB, %d are free", errSpace, info.Size()>>20, free>>20)
	}
	return err
}

// freeSpace returns how many bytes a process may still write to the disk of path.
func freeSpace(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // G115: a block's size is positive
}

// copyFolder copies the files of a folder, none if there is no such folder. Files that
// go away meanwhile were not needed.
func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name()[0] == '.' { // a file being written begins with a dot
			continue
		}
		err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		if err := ignore(err, fs.ErrNotExist); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file to a new one that only its owner can read, on the disk when
// it returns.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
