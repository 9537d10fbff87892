package app

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"steward/cmd/internal/keys"
	"steward/suit/cose"
)

// fileReportKey is where the public key of reports stands in the data directory,
// for those who are to verify them elsewhere.
const fileReportKey = "report-key.pem"

// reportSigner returns the signer of campaign reports: a key of its own, so that no
// other signature of this provider can be taken for one.
func (a *App) reportSigner(ctx context.Context) (*cose.Signer, error) {
	_, key, err := a.pki.key(ctx, keys.Report)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(a.dir.file(fileReportKey), text, 0o600); err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	signer, err := cose.NewSigner(key, cose.ES256, id[:keyIDLength])
	if err != nil {
		return nil, fmt.Errorf("report signer: %w", err)
	}
	return signer, nil
}
