package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// crlLook is how often a file is looked at, at the most.
	crlLook = time.Second
	// maxFactoryCRL bounds a file: a million entries.
	maxFactoryCRL = 64 << 20
)

// factoryCRLs are what factory CAs have revoked, by the files that they publish. A file
// that cannot be read any more, or whose next update is over, still counts as it was:
// what is revoked stays so (RFC 5280 §5). What is not on it is not known: nobody enrols
// until there is another.
type factoryCRLs struct {
	log *slog.Logger
	// listed returns the factory CAs, one of which must have signed a list; nil: none.
	listed func(context.Context) ([]*x509.Certificate, error)

	mu    sync.Mutex
	files []*factoryCRL
}

// A factoryCRL is the list in a file.
type factoryCRL struct {
	path    string
	looked  time.Time
	changed time.Time
	size    int64
	list    *x509.RevocationList
	serials map[string]struct{}
	signer  []byte // the listed CA that was found to have signed it, DER; nil: not yet
	err     error  // of the last look
	told    string // what was logged last; "": it is current
}

// newFactoryCRLs reads the files. It returns ErrPKI.
func newFactoryCRLs(paths []string, log *slog.Logger) (*factoryCRLs, error) {
	f := &factoryCRLs{log: log}
	for _, path := range paths {
		c := &factoryCRL{path: path}
		if err := c.read(); err != nil {
			return nil, fmt.Errorf("%w: factory-crl %s: %w", ErrPKI, path, err)
		}
		f.files = append(f.files, c)
	}
	return f, nil
}

// read reads the file if it is another than before.
func (c *factoryCRL) read() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	if info.ModTime().Equal(c.changed) && info.Size() == c.size {
		return nil
	}
	list, err := ReadCRL(c.path)
	if err != nil {
		return err
	}
	c.list, c.serials, c.signer = list, make(map[string]struct{}, len(list.RevokedCertificateEntries)), nil
	for _, e := range list.RevokedCertificateEntries {
		c.serials[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	c.changed, c.size = info.ModTime(), info.Size()
	return nil
}

// ReadCRL reads the CRL in a file, in PEM or DER (RFC 5280 §5). Its signature is not checked.
func ReadCRL(path string) (*x509.RevocationList, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFactoryCRL {
		return nil, fmt.Errorf("%d bytes", info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil && block.Type == pemCRL {
		text = block.Bytes
	}
	return x509.ParseRevocationList(text)
}

// status is est.Options.FactoryStatus. Of a CA whose list nobody gave us nothing is
// revoked, and that is known.
func (f *factoryCRLs) status(leaf *x509.Certificate) (revoked, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known = true
	for _, c := range f.files {
		now := time.Now()
		if now.Sub(c.looked) >= crlLook {
			c.looked, c.err = now, c.read()
		}
		current := f.current(c, now)
		_, on := c.serials[string(leaf.SerialNumber.Bytes())]
		if (on || !current) && bytes.Equal(c.list.RawIssuer, leaf.RawIssuer) && f.signed(c, leaf) {
			revoked, known = revoked || on, known && current
		}
	}
	return revoked, known
}

// current reports whether a list tells what is revoked now, and logs when it no longer
// does, once.
func (f *factoryCRLs) current(c *factoryCRL, now time.Time) bool {
	what := ""
	switch {
	case c.err != nil:
		what = c.err.Error()
	case !c.list.NextUpdate.IsZero() && now.After(c.list.NextUpdate):
		what = "out of date since " + c.list.NextUpdate.UTC().Format(time.RFC3339)
	}
	if what != c.told {
		c.told = what
		if what != "" {
			f.log.LogAttrs(context.Background(), slog.LevelError, "CRL of a factory CA: its devices cannot enrol",
				slog.String("file", c.path), slog.String("error", what))
		}
	}
	return what == ""
}

// signed reports whether the listed CA that has signed leaf has signed the list too.
func (f *factoryCRLs) signed(c *factoryCRL, leaf *x509.Certificate) bool {
	if f.listed == nil {
		return false
	}
	cas, err := f.listed(context.Background())
	if err != nil {
		f.log.LogAttrs(context.Background(), slog.LevelError, "CRL of a factory CA", slog.Any("error", err))
		return true // whether it is revoked is not known
	}
	for _, ca := range cas {
		if !bytes.Equal(c.signer, ca.Raw) && c.list.CheckSignatureFrom(ca) != nil {
			continue
		}
		c.signer = ca.Raw
		if leaf.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}
