package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"steward/cmd/internal/backup"
	"steward/cmd/internal/config"
	"steward/cmd/internal/durable"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
)

// ErrOccupied reports a data directory that is not empty.
var ErrOccupied = errors.New("there is something in the data directory")

// A Restore is what Restore is told.
type Restore struct {
	Config config.Config // of the provider that is to run; Data is where it is restored to
	// Revocations is a newer file of revocations than that in the backup; "": that of
	// Config or of the directory that is replaced, else that of the backup.
	Revocations string
	// MachineKey is the file of the key that opens the others; "": there is a
	// passphrase, or the key is in the directory that is replaced.
	MachineKey string
	Replace    bool // move a directory that is not empty out of the way
}

// A Restored is what Restore did.
type Restored struct {
	Manifest    backup.Manifest    `json:"manifest"`
	Report      sqlite.Restoration `json:"report"`
	Replaced    string             `json:"replaced,omitempty"`    // where the old directory is now
	Revocations string             `json:"revocations,omitempty"` // the file that was taken in place of that of the backup
}

// RestoreBackup makes a data directory of a backup: whole, checked and safe to go on
// with, or not at all. It returns ErrOccupied, ErrLocked, the errors of package
// backup, of sqlite.Inspector.Check and of keys.Open, and audit.ErrChain.
func RestoreBackup(ctx context.Context, from io.Reader, r Restore) (out Restored, err error) {
	r.Config.Data = filepath.Clean(r.Config.Data)
	unlock, err := lockRestore(r.Config.Data)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	old, err := r.occupied()
	if err != nil {
		return out, err
	}
	if old != nil {
		defer func() { err = errors.Join(err, old.Close()) }()
	}
	made := &directory{path: r.Config.Data + ".restoring"}
	if err := os.RemoveAll(made.path); err != nil { // of a restore that was killed
		return out, err
	}
	if err := os.MkdirAll(made.path, 0o700); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made.path)) }() // it has its name if all went well
	if out, err = r.build(ctx, from, made, old); err != nil {
		return out, err
	}
	out.Replaced, err = r.put(made, old)
	return out, err
}

// lockRestore keeps a second restore to the same directory out.
func lockRestore(data string) (func() error, error) {
	name := data + ".restore-lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: it is being restored", ErrLocked), f.Close())
	}
	return func() error { return errors.Join(os.Remove(name), f.Close()) }, nil
}

// occupied returns the directory that is to be replaced, locked; nil if there is none,
// or it is empty.
func (r Restore) occupied() (*directory, error) {
	entries, err := os.ReadDir(r.Config.Data)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil //nolint:nilnil // no directory is what there is
	}
	if err != nil {
		return nil, err
	}
	if !r.Replace {
		return nil, fmt.Errorf("%w: %s; --replace moves it out of the way", ErrOccupied, r.Config.Data)
	}
	return openDirectory(r.Config.Data)
}

// build makes the directory beside the place where it is to be.
func (r Restore) build(ctx context.Context, from io.Reader, made, old *directory) (out Restored, err error) {
	archive, err := backup.Unpack(from, made.path)
	if err != nil {
		return out, err
	}
	out.Manifest = archive.Manifest
	if err := r.verify(ctx, archive, made, old); err != nil {
		return out, err
	}
	if out.Revocations, err = r.revocations(made, old); err != nil {
		return out, err
	}
	db, err := sqlite.Open(ctx, made.file(fileDB))
	if err != nil {
		return out, err
	}
	out.Report, err = db.Restored(ctx, commandLine, archive.Manifest.TakenAt, time.Now())
	return out, errors.Join(err, db.Close())
}

// verify checks the database against the manifest, and the manifest's seal by the
// keys, which must open.
func (r Restore) verify(ctx context.Context, a backup.Archive, made, old *directory) error {
	db, err := examineDatabase(ctx, made.file(fileDB))
	if err != nil {
		return err
	}
	if m := a.Manifest; db.schema != m.Schema || db.rows != m.AuditRows || db.hash != m.AuditHash {
		return fmt.Errorf("%w: the database has %d audit rows of schema %d, the manifest says %d of %d",
			backup.ErrDamaged, db.rows, db.schema, m.AuditRows, m.Schema)
	}
	if err := keys.Complete(made.file(dirKeys)); err != nil {
		return fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	if err := r.machineKey(made, old); err != nil {
		return err
	}
	ring, err := openRing(made, r.Config.Keys)
	if err != nil {
		return fmt.Errorf("keys of the backup (--machine-key FILE, or their passphrase): %w", err)
	}
	seal, err := ring.Sealer()
	if err = errors.Join(err, ring.Close()); err != nil {
		return err
	}
	sealed, err := seal.Open(a.Seal, backup.SealPurpose)
	if err != nil || string(sealed) != string(a.Hash[:]) {
		return fmt.Errorf("%w: its manifest was not written by the provider whose keys it holds", backup.ErrDamaged)
	}
	return nil
}

// machineKey puts the machine's key in its place, if there is one.
func (r Restore) machineKey(made, old *directory) error {
	from := r.MachineKey
	if from == "" && old != nil {
		from = old.file(dirMachine, fileMachine)
	}
	if from == "" {
		return nil
	}
	if err := os.MkdirAll(made.file(dirMachine), 0o700); err != nil {
		return err
	}
	err := copyFile(from, made.file(dirMachine, fileMachine))
	if r.MachineKey == "" {
		return ignore(err, fs.ErrNotExist)
	}
	return err
}

// revocations puts the newest file of revocations in its place, and returns which one
// that is, unless it is that of the backup. One that Config keeps apart is the newest.
func (r Restore) revocations(made, old *directory) (string, error) {
	inside := made.file(fileRevocations)
	newest := r.Revocations
	if apart := r.Config.Revocations; apart != "" {
		if _, err := os.Stat(apart); err == nil {
			if newest != "" && newest != apart {
				return "", fmt.Errorf("%w: %s is there, and --revocations says %s", ErrOccupied, apart, newest)
			}
			return apart, ignore(os.Remove(inside), fs.ErrNotExist)
		}
	} else if newest == "" && old != nil {
		if _, err := os.Stat(old.file(fileRevocations)); err == nil {
			newest = old.file(fileRevocations)
		}
	}
	if newest != "" {
		if err := errors.Join(ignore(os.Remove(inside), fs.ErrNotExist), copyFile(newest, inside)); err != nil {
			return "", err
		}
	}
	if apart := r.Config.Revocations; apart != "" {
		return newest, errors.Join(ignore(copyFile(inside, apart), fs.ErrNotExist), ignore(os.Remove(inside), fs.ErrNotExist))
	}
	return newest, nil
}

// put gives the directory its name, and the old one another.
func (r Restore) put(made, old *directory) (replaced string, err error) {
	if err := durable.SyncDirectory(made.path); err != nil {
		return "", err
	}
	if old != nil {
		replaced = r.Config.Data + ".replaced-" + time.Now().UTC().Format("20060102T150405Z")
		if err := os.Rename(r.Config.Data, replaced); err != nil {
			return "", err
		}
	}
	if err := os.Rename(made.path, r.Config.Data); err != nil { // an empty one gives way
		if replaced != "" {
			err = errors.Join(err, os.Rename(replaced, r.Config.Data))
		}
		return "", err
	}
	return replaced, durable.SyncDirectory(filepath.Dir(filepath.Clean(r.Config.Data)))
}
