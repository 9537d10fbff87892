package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
)

// endsSoon is when people should know that a certificate ends. Those of servers and
// signers are renewed at a start, in good time.
const endsSoon = 30 * 24 * time.Hour

// renewal helps against certificates that end.
const renewal = "a CA: steward ca rollover; others: restart the provider"

// certificates looks at the provider's own certificates and their keys.
func (e *examination) certificates() {
	files, _ := filepath.Glob(e.file("pki", "*.pem")) // the pattern is ours
	if len(files) == 0 {
		e.ok("certificates", "none yet: the first start makes them")
		return
	}
	ring, err := app.Keys(e.Config)
	if err != nil {
		e.add("keys", Error, "give the passphrase or machine/key; without both a backup helps",
			"they cannot be opened: %v", err)
	} else {
		defer func() { _ = ring.Close() }() // nothing was written
	}
	for _, file := range files {
		e.certificate(file, ring)
	}
}

// certificate looks at one certificate, and that the ring has its key.
func (e *examination) certificate(file string, ring *keys.Ring) {
	name := strings.TrimSuffix(filepath.Base(file), ".pem")
	cert, err := readCertificate(file)
	if err != nil {
		e.add("certificates", Error, "restore it from a backup", "%s: %v", file, err)
		return
	}
	now, until := e.Now(), cert.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.After(cert.NotAfter):
		e.add("certificates", Error, renewal, "%s ended on %s", name, until)
	case now.Before(cert.NotBefore):
		e.add("certificates", Error, "set the clock", "%s begins on %s", name, cert.NotBefore.UTC().Format(time.RFC3339))
	case now.Add(endsSoon).After(cert.NotAfter):
		e.add("certificates", Warning, renewal, "%s ends on %s", name, until)
	default:
		e.ok("certificates", "%s is good until %s", name, until)
	}
	if ring == nil || strings.Contains(name, ".") { // cross certificates have no key of their own
		return
	}
	key, err := ring.Find(keys.Name(name))
	switch {
	case errors.Is(err, keys.ErrNoKey) && name == string(keys.Root): // kept elsewhere
		e.ok("keys", "that of the root is not here")
	case err != nil:
		e.add("keys", Error, "give the token, or restore the key from a backup", "%s: %v", name, err)
	case !equalKeys(cert, key.Public()):
		e.add("keys", Error, "restore pki/ and keys/ from the same backup", "%s: the certificate is for another key", name)
	}
}

func equalKeys(c *x509.Certificate, public any) bool {
	a, errA := x509.MarshalPKIXPublicKey(c.PublicKey)
	b, errB := x509.MarshalPKIXPublicKey(public)
	return errA == nil && errB == nil && string(a) == string(b)
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// database looks at the database, also of a running provider.
func (e *examination) database() {
	const check, remedy = "database", "stop the provider, keep a copy of the directory, and restore the newest backup"
	i, err := sqlite.Inspect(e.ctx, e.file("steward.db"))
	if errors.Is(err, fs.ErrNotExist) {
		e.ok(check, "none yet: the first start makes it")
		return
	}
	if err != nil {
		e.add(check, Error, remedy, "%v", err)
		return
	}
	defer func() { _ = i.Close() }() // it was only read
	version, err := i.Schema(e.ctx)
	switch known := sqlite.SchemaVersion(); {
	case err != nil:
		e.add(check, Error, remedy, "%v", err)
		return
	case version > known:
		e.add("schema", Error, "use the version of the program that wrote it, or a backup made before",
			"it is %d, the newest that this program knows is %d", version, known)
	case version < known:
		e.add("schema", Warning, "make a backup; the next start of this version migrates", "it is %d, this program has %d",
			version, known)
	default:
		e.ok("schema", "%d, as this program has it", version)
	}
	if e.Quick {
		return
	}
	if err := i.Check(e.ctx); err != nil && !errors.Is(err, sqlite.ErrNewer) {
		e.add(check, Error, remedy, "%v", err)
	} else {
		e.ok(check, "it is whole")
	}
	rows, _, err := i.VerifyAudit(e.ctx)
	if err != nil {
		e.add("audit chain", Error, "somebody or something changed the file: compare it with a backup",
			"after %d rows: %v", rows, err)
		return
	}
	e.ok("audit chain", "%d rows, none altered or missing", rows)
}
