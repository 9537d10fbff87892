package keys

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/argon2"
)

// ErrLocked reports keys that cannot be decrypted with what was given.
var ErrLocked = errors.New("keys are locked")

// The vault is one random key that encrypts all files of a Ring. It lies in
// fileVault, itself encrypted: by a key made of a passphrase (Argon2id, RFC 9106)
// or by the machine's key. So another passphrase rewrites one file.
const (
	fileVault   = "vault"
	fileMachine = "machine.key"
	typeVault   = "STEWARD VAULT"
	vaultUse    = "steward vault 1"

	headerLock = "Lock"
	headerSalt = "Salt"
	headerTime = "Time"
	headerMem  = "Memory" // in KiB
	headerPar  = "Parallelism"

	lockMachine    = "machine"
	lockPassphrase = "argon2id"

	// RFC 9106 §4, the second recommended option.
	argonTime, argonMemory, argonParallelism = 3, 64 << 10, 4
	// What a file may ask for: another would stop the start for long.
	maxArgonTime, maxArgonMemory, maxArgonParallelism = 64, 2 << 20, 64

	saltLength    = 16
	minPassphrase = 12 // bytes
)

// openVault reads the vault of o, or makes it.
func openVault(o Options) (*Sealer, error) {
	if err := os.MkdirAll(o.Dir, dirMode); err != nil {
		return nil, err
	}
	block, err := readBlock(filepath.Join(o.Dir, fileVault))
	if errors.Is(err, fs.ErrNotExist) {
		master := make([]byte, sealKeyLength)
		_, _ = rand.Read(master) // never fails
		if err := writeVault(o, master); err != nil {
			return nil, err
		}
		return NewSealer(master)
	}
	if err != nil {
		return nil, err
	}
	master, err := o.unlock(block)
	if err != nil {
		return nil, err
	}
	return NewSealer(master)
}

// unlock returns the master key in block.
func (o Options) unlock(block *pem.Block) ([]byte, error) {
	var lock []byte
	var err error
	switch kind := block.Headers[headerLock]; {
	case block.Type != typeVault:
		return nil, fmt.Errorf("%w: %s is %q", ErrFile, fileVault, block.Type)
	case kind == lockMachine && o.Passphrase != nil:
		return nil, fmt.Errorf("%w: the machine's key locks them, no passphrase; \"steward ca keys encrypt\" changes that",
			ErrLocked)
	case kind == lockMachine:
		lock, err = o.machineKey(false)
	case kind == lockPassphrase && o.Passphrase == nil:
		return nil, fmt.Errorf("%w: a passphrase is needed", ErrLocked)
	case kind == lockPassphrase:
		lock, err = stretch(o.Passphrase, block.Headers)
	default:
		return nil, fmt.Errorf("%w: %s is locked by %.20q", ErrFile, fileVault, kind)
	}
	if err != nil {
		return nil, err
	}
	s, err := NewSealer(lock)
	if err != nil {
		return nil, err
	}
	master, err := s.Open(block.Bytes, vaultUse)
	if err != nil {
		return nil, fmt.Errorf("%w: not by this passphrase or machine", ErrLocked)
	}
	return master, nil
}

// writeVault writes the vault's file for o.
func writeVault(o Options, master []byte) error {
	block := &pem.Block{Type: typeVault, Headers: map[string]string{headerLock: lockMachine}}
	var lock []byte
	var err error
	if o.Passphrase != nil {
		if len(o.Passphrase) < minPassphrase {
			return fmt.Errorf("%w: the passphrase has %d bytes, want %d or more", ErrLocked, len(o.Passphrase), minPassphrase)
		}
		salt := make([]byte, saltLength)
		_, _ = rand.Read(salt) // never fails
		block.Headers = map[string]string{
			headerLock: lockPassphrase, headerSalt: hex.EncodeToString(salt), headerTime: strconv.Itoa(argonTime),
			headerMem: strconv.Itoa(argonMemory), headerPar: strconv.Itoa(argonParallelism),
		}
		lock, err = stretch(o.Passphrase, block.Headers)
	} else {
		lock, err = o.machineKey(true)
	}
	if err != nil {
		return err
	}
	s, err := NewSealer(lock)
	if err != nil {
		return err
	}
	block.Bytes = s.Seal(master, vaultUse)
	return WriteFile(filepath.Join(o.Dir, fileVault), pem.EncodeToMemory(block))
}

// stretch makes a key of a passphrase, as the headers say.
func stretch(passphrase []byte, headers map[string]string) ([]byte, error) {
	salt, err := hex.DecodeString(headers[headerSalt])
	if err != nil || len(salt) != saltLength {
		return nil, fmt.Errorf("%w: %s: salt", ErrFile, fileVault)
	}
	var n [3]uint64
	for i, p := range []struct {
		header string
		most   uint64
	}{{headerTime, maxArgonTime}, {headerMem, maxArgonMemory}, {headerPar, maxArgonParallelism}} {
		if n[i], err = strconv.ParseUint(headers[p.header], 10, 32); err != nil || n[i] < 1 || n[i] > p.most {
			return nil, fmt.Errorf("%w: %s: %s is not within 1 and %d", ErrFile, fileVault, p.header, p.most)
		}
	}
	return argon2.IDKey(passphrase, salt,
		uint32(n[0]), uint32(n[1]), uint8(n[2]), sealKeyLength), nil //nolint:gosec // G115: bounded above
}

func (o Options) machineFile() string {
	if o.Machine != "" {
		return o.Machine
	}
	return filepath.Join(o.Dir, fileMachine)
}

// machineKey reads the machine's key. It is made only with a new vault: what an
// old one was locked by must not be replaced.
func (o Options) machineKey(create bool) ([]byte, error) {
	path := o.machineFile()
	text, err := ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		key := make([]byte, sealKeyLength)
		_, _ = rand.Read(key) // never fails
		if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			return nil, err
		}
		return key, WriteFile(path, []byte(hex.EncodeToString(key)))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing, the key of the machine that made them", ErrLocked, path)
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != sealKeyLength {
		return nil, fmt.Errorf("%w: %s: want %d bytes in hex", ErrFile, path, sealKeyLength)
	}
	return key, nil
}

// Relock encrypts the keys of a directory for another passphrase, or for the first
// one in place of the machine's key, which is removed then: o opens them now,
// passphrase will. It returns ErrLocked or ErrFile.
func Relock(o Options, passphrase []byte) error {
	if _, err := openVault(o); err != nil { // makes it, if there is none
		return err
	}
	block, err := readBlock(filepath.Join(o.Dir, fileVault))
	if err != nil {
		return err
	}
	master, err := o.unlock(block)
	if err != nil {
		return err
	}
	next := o
	next.Passphrase = passphrase
	if err := writeVault(next, master); err != nil {
		return err
	}
	if err := os.Remove(o.machineFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Complete returns ErrNoKey if a folder of keys lacks what encrypts them, so that
// Open would make another: where keys were to be, as in a backup.
func Complete(dir string) error {
	for _, name := range []string{fileVault, fileSeal} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNoKey, name, err)
		}
	}
	return nil
}
