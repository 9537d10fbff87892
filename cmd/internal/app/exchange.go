package app

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// An exchange is an external CA that people bring requests to. It implements
// est.Upstream.
type exchange struct {
	dir     string // "": requests and answers pass by the command line or REST only
	anchors []*x509.Certificate
	retry   time.Duration
}

// Names of files in the directory of an exchange.
const (
	requestSuffix = ".csr.pem"
	answerSuffix  = ".cert.pem"
)

func newExchange(dir string, anchors []*x509.Certificate, retry time.Duration) (*exchange, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("%w: upstream directory: %w", ErrPKI, err)
		}
	}
	return &exchange{dir: dir, anchors: anchors, retry: retry}, nil
}

// Anchors implements est.Upstream.
func (x *exchange) Anchors() []*x509.Certificate { return slices.Clone(x.anchors) }

// Certify implements est.Upstream: it puts the request where people find it, and
// looks whether they have put an answer beside it. What cannot be read is perhaps
// being written.
func (x *exchange) Certify(_ context.Context, e est.Errand) ([][]byte, error) {
	waits := &est.PendingError{Retry: x.retry}
	if x.dir == "" {
		return nil, waits
	}
	request := x.file(e.ID, requestSuffix)
	if _, err := os.Stat(request); errors.Is(err, fs.ErrNotExist) {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: e.Request})
		if err := keys.WriteFile(request, text); err != nil {
			return nil, err
		}
	}
	certs, err := readCertificates(x.file(e.ID, answerSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, waits
	}
	if err != nil {
		return nil, err
	}
	var chain [][]byte
	for _, c := range certs {
		if key, err := est.SPKI(c.PublicKey); err == nil && key == e.SPKI && !c.IsCA {
			chain = slices.Insert(chain, 0, c.Raw)
			continue
		}
		chain = append(chain, c.Raw)
	}
	return chain, nil
}

// file names a file of an errand, whose id is letters and digits of ours.
func (x *exchange) file(id, suffix string) string { return filepath.Join(x.dir, id+suffix) }

// tidy removes the requests that nobody waits for any more.
func (x *exchange) tidy(ctx context.Context, ca *est.CA) error {
	if x.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		id, ours := strings.CutSuffix(entry.Name(), requestSuffix)
		if !ours {
			continue
		}
		e, err := ca.Errand(ctx, id)
		if errors.Is(err, est.ErrUnknown) || err == nil && e.State == est.ErrandWaiting {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.Remove(x.file(id, requestSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
