package sim

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim/nvm"
	"steward/transfer"
)

// A Snapshot is what a device's files say, whether or not it runs.
type Snapshot struct {
	Endpoint string
	State    transfer.DeviceState
	Epoch    uint32
	Home     transfer.Home // provider of the current domain
	// Operational is the certificate in force, DER, with its key; nil: none.
	Operational []byte
	Key         crypto.Signer
	Factory     []byte // factory certificate in force, DER, with its key
	FactoryKey  crypto.Signer
	Receipt     []byte // the newest, untagged
	Version     string // of the firmware
	Sequence    uint64
	Anchors     []transfer.Anchor
	Counts      []Count
	// OldKey is what was kept aside before the wipe, if Options.KeepOldKeys.
	OldKey *tls.Certificate
}

// Inspect reads the files of a device in dir. It returns fs.ErrNotExist for one
// that has never run.
func Inspect(dir string, b *bundle.Bundle) (*Snapshot, error) {
	o := Options{StateDir: dir}
	values, err := nvm.Read(o.stateFile(b))
	if err != nil {
		return nil, err
	}
	own, err := readFactory(b, values[factoryKey])
	if err != nil {
		return nil, err
	}
	copied := &transfer.MemoryJournal{}
	if err := copied.Save(values[journalKey]); err != nil {
		return nil, err
	}
	tr, err := transfer.OpenDevice(transfer.DeviceOptions{
		Journal: frozen{copied}, FactoryKey: own.key, FactoryCertificate: own.chain[0], NewKey: newKey,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Endpoint, err)
	}
	status := tr.Status()
	s := &Snapshot{
		Endpoint: b.Endpoint, State: status.State, Epoch: status.Epoch, Home: tr.Home(), Receipt: status.Receipt,
		Version: b.Firmware.Version, Sequence: b.Firmware.Sequence, Anchors: tr.Truststore(),
		Factory: own.chain[0], FactoryKey: own.key,
	}
	if operational, certificate, ok := tr.Operational(); ok {
		s.Operational, s.Key = certificate, operational
	}
	if raw := values[installedKey]; raw != nil {
		in, err := parseInstalled(raw)
		if err != nil {
			return nil, err
		}
		s.Version, s.Sequence = versionOf(in.Envelope), in.Sequence
	}
	if s.Counts, err = readCounters(o.countersFile(b)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.OldKey, err = readOldKey(o.oldKeysFile(b))
	return s, err
}

// frozen is a journal that is looked at: the boot that looking counts is not kept.
type frozen struct{ *transfer.MemoryJournal }

// Save implements transfer.Journal.
func (frozen) Save([]byte) error { return nil }

// readOldKey reads what keepKeys wrote; nil if nothing was.
func readOldKey(path string) (*tls.Certificate, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // absence is the usual case, and documented
	}
	if err != nil {
		return nil, err
	}
	key, rest := pem.Decode(text)
	certificate, _ := pem.Decode(rest)
	if key == nil || certificate == nil {
		return nil, fmt.Errorf("%w: %s", bundle.ErrBundle, path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &tls.Certificate{Certificate: [][]byte{certificate.Bytes}, PrivateKey: parsed}, nil
}
