package app

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
)

// Of the CRL of a permanent CA: for how long it says that it is good, and how often it
// is written anew although nothing was revoked.
const (
	permanentCRLValidity = 30 * 24 * time.Hour
	permanentCRLEvery    = 24 * time.Hour
)

// pemCRL is the type of a CRL in PEM (RFC 7468 §6).
const pemCRL = "X509 CRL"

// CRL returns what the permanent CA has revoked, in PEM.
func (p *Permanent) CRL(ctx context.Context) ([]byte, error) {
	crl, err := p.ca.CRL(ctx, est.CRLScope{Issuer: sha256.Sum256(p.ca.Certificate().Raw)}, permanentCRLValidity)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCRL, Bytes: crl.DER}), nil
}

// wake tells that something was revoked. It does not block.
func (p *Permanent) wake(est.Hash) {
	select {
	case p.revoked <- struct{}{}:
	default:
	}
}

// publish keeps the CRL in a file up to date until ctx ends; "" is no file.
func (p *Permanent) publish(ctx context.Context, file string) error {
	if file == "" {
		return nil
	}
	daily := time.NewTicker(permanentCRLEvery)
	defer daily.Stop()
	for {
		crl, err := p.CRL(ctx)
		if err == nil {
			err = keys.WriteFile(file, crl)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-p.revoked:
		case <-daily.C:
		case <-ctx.Done():
			return nil
		}
	}
}
