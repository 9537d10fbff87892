package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
)

// ErrLocked reports a data directory that another process is using.
var ErrLocked = errors.New("data directory is in use by another steward process")

// A directory is everything of a provider that lasts.
type directory struct {
	path string
	lock *os.File
}

// The files in it. Keys have a folder of their own.
const (
	fileLock  = "lock"
	fileDB    = "steward.db"
	fileToken = "admin.token"
	dirKeys   = "keys"
	dirPKI    = "pki"
	// dirMachine holds the key that encrypts the others where no passphrase does. It
	// must not be part of a backup that others may read.
	dirMachine  = "machine"
	fileMachine = "key"
	// dirAssociations must not be part of a backup, and is worthless in one: a copy
	// of associations is never used.
	dirAssociations = "associations"
	dirRefreshes    = "refreshes"
	// dirAudit has audit rows that are not in the database any more, in files that never
	// change.
	dirAudit = "audit"
	// fileRevocations must not be restored from a backup: it says what the database in
	// the backup does not know yet.
	fileRevocations = "revocations"
)

// openDirectory makes the directory if need be and locks it for this process.
// The kernel drops the lock with the process, however that ends.
func openDirectory(path string) (*directory, error) {
	for _, inner := range []string{dirPKI, dirKeys} {
		if err := os.MkdirAll(filepath.Join(path, inner), 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(path, fileLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrLocked, path), lock.Close())
	}
	return &directory{path, lock}, nil
}

// openRing opens the keys of the directory.
func openRing(d *directory, k config.Keys) (*keys.Ring, error) {
	o, err := ringOptions(d, k)
	if err != nil {
		return nil, err
	}
	return keys.Open(o)
}

func ringOptions(d *directory, k config.Keys) (keys.Options, error) {
	o := keys.Options{
		Dir: d.file(dirKeys), Machine: d.file(dirMachine, fileMachine), Places: map[keys.Name]string{},
	}
	for name, place := range k.Place {
		o.Places[keys.Name(name)] = place
	}
	var err error
	o.Passphrase, err = k.Passphrase()
	return o, err
}

func (d *directory) file(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// Close gives the directory free.
func (d *directory) Close() error { return d.lock.Close() }

// Running reports whether a process has the data directory. It changes nothing.
func Running(data string) (bool, error) {
	lock, err := os.Open(filepath.Join(data, fileLock))
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }() // the kernel drops our lock with it
	err = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Keys opens the keys of a data directory. It returns keys.ErrNoKey where there are
// none, and makes none.
func Keys(cfg config.Config) (*keys.Ring, error) {
	d := &directory{path: cfg.Data}
	if err := keys.Complete(d.file(dirKeys)); err != nil {
		return nil, err
	}
	return openRing(d, cfg.Keys)
}
