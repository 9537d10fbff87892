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
	// auditBase is the last audit row that the copy of the database does not have.
	auditBase int64
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
		a.movingAudit.Lock() // half of a file's rows in the database would be there twice
		s, err = newStage(ctx, a.dir, a.cfg, seal, a.now())
		a.movingAudit.Unlock()
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
// the database meanwhile are in both, what is revoked meanwhile is in the file of
// revocations at least, and audit rows that leave the database meanwhile are still in
// its copy.
func (s *stage) fill(ctx context.Context, d *directory, cfg config.Config) error {
	for _, folder := range []string{dirKeys, dirPKI, dirRefreshes} {
		if err := copyFolder(d.file(folder), filepath.Join(s.dir, folder)); err != nil {
			return err
		}
	}
	if err := s.copyDatabase(ctx, d.file(fileDB)); err != nil {
		return err
	}
	if err := s.linkArchives(d.file(dirAudit)); err != nil {
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
	found, err := examineDatabase(ctx, to)
	s.manifest.Schema, s.manifest.AuditRows, s.manifest.AuditHash = found.schema, found.rows, found.hash
	s.auditBase = found.base
	return err
}

// linkArchives has the files of the audit rows that go before those in the copy of the
// database: the files never change. One that begins later has rows that the copy has.
func (s *stage) linkArchives(from string) error {
	all, err := archives(from)
	if err != nil || len(all) == 0 {
		return ignore(err, fs.ErrNotExist)
	}
	to := filepath.Join(s.dir, backup.Audit)
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, one := range all {
		if one.first > s.auditBase {
			continue
		}
		err := linkFile(filepath.Join(from, one.name()), filepath.Join(to, one.name()))
		if err := ignore(err, fs.ErrNotExist); err != nil { // moved away meanwhile
			return err
		}
	}
	return nil
}

// linkFile gives a file that never changes another name, or copies it from another disk.
func linkFile(from, to string) error {
	if info, err := os.Lstat(from); err == nil && info.Mode().IsRegular() && os.Link(from, to) == nil {
		return nil
	}
	return copyFile(from, to)
}

// An examined database was read as a whole.
type examined struct {
	schema int
	rows   int64  // of the audit
	hash   string // of the last of them, hexadecimal
	base   int64  // the last row that is not in the database any more; 0: all are
}

// examineDatabase reads the whole of a database. It returns sqlite.ErrDatabase,
// sqlite.ErrNewer or audit.ErrChain.
func examineDatabase(ctx context.Context, name string) (out examined, err error) {
	i, err := sqlite.Inspect(ctx, name)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	if err := i.Check(ctx); err != nil {
		return out, err
	}
	if out.schema, err = i.Schema(ctx); err != nil {
		return out, err
	}
	if out.base, err = i.AuditBase(ctx); err != nil {
		return out, err
	}
	rows, last, err := i.VerifyAudit(ctx)
	out.rows, out.hash = rows, hex.EncodeToString(last[:])
	return out, err
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
