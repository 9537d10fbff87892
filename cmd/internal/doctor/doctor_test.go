package doctor_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/config"
	"steward/cmd/internal/doctor"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/transfer/coordinator"
)

const day = 24 * time.Hour

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// certificate makes one that may sign CRLs and ends after a while.
func certificate(t *testing.T, lasts time.Duration) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(lasts),
		KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	c, err := x509.ParseCertificate(der)
	check(t, err)
	return c, key
}

// examine returns what a check finds of a provider that does not run.
func examine(t *testing.T, o config.Options, name string) (out []doctor.Finding) {
	t.Helper()
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "off", "off"
	cfg, err := config.New(o)
	check(t, err)
	for _, f := range doctor.Examine(t.Context(), doctor.Options{Config: cfg, Quick: true, Now: time.Now}) {
		if f.Check == name {
			out = append(out, f)
		}
	}
	return out
}

// holds checks that one finding has a level and says something.
func holds(t *testing.T, name string, all []doctor.Finding, level doctor.Level, says string) {
	t.Helper()
	for _, f := range all {
		if f.Level == level && strings.Contains(f.Text, says) {
			return
		}
	}
	t.Errorf("%s: %+v, want %s: … %s …", name, all, level, says)
}

// TestPartners looks at a partner that answers by its present key, by the next, and by
// another, and at certificates that end.
func TestPartners(t *testing.T) {
	old, oldKey := certificate(t, 60*day)
	next, nextKey := certificate(t, 60*day)
	stranger, strangerKey := certificate(t, 60*day)
	soon, _ := certificate(t, 29*day)
	over, _ := certificate(t, -time.Hour)
	for _, tt := range []struct {
		name  string
		cert  *x509.Certificate
		key   crypto.Signer
		next  *x509.Certificate
		level doctor.Level
		says  string
	}{
		{"present", old, oldKey, nil, doctor.OK, "Beta answers at"},
		{"present while rotating", old, oldKey, next, doctor.OK, "Beta answers at"},
		{"next", next, nextKey, next, doctor.OK, "with the next key that it has announced"},
		{"next before it is announced", next, nextKey, nil, doctor.Error, "with another key"},
		{"another while rotating", stranger, strangerKey, next, doctor.Error, "with another key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(nil)
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{
				{Certificate: [][]byte{tt.cert.Raw}, PrivateKey: tt.key},
			}}
			s.StartTLS()
			defer s.Close()
			o := config.Default()
			o.Data = t.TempDir()
			db, err := sqlite.Open(t.Context(), filepath.Join(o.Data, "steward.db"))
			check(t, err)
			p := coordinator.Partner{
				ID: "p", Name: "Beta", Kind: coordinator.Provider, State: coordinator.Active, PeerURI: s.URL,
				TLS: old.Raw, Signing: soon.Raw, Verifier: over.Raw,
			}
			if tt.next != nil {
				p.NextTLS, p.State = tt.next.Raw, coordinator.Rotating
			}
			check(t, db.Transfers().PutPartner(t.Context(), p, audit.Row{Action: "partner.add", Subject: "p"}))
			check(t, db.Close())
			all := examine(t, o, "partner")
			holds(t, "key", all, tt.level, tt.says)
			holds(t, "ends soon", all, doctor.Warning, "Beta: the signing certificate ends on ")
			holds(t, "over", all, doctor.Warning, "Beta: the verifier certificate ended on ")
			if len(all) != 3 {
				t.Errorf("found %+v", all)
			}
		})
	}
}

// TestFactoryCRLs looks at lists that are new, late, out of date and none.
func TestFactoryCRLs(t *testing.T) {
	issuer, key := certificate(t, 60*day)
	for _, tt := range []struct {
		name      string
		made, end time.Duration // from now
		level     doctor.Level
		says      string
	}{
		{"a day, made an hour ago", -time.Hour, 23 * time.Hour, doctor.OK, "good until"},
		{"a day, an hour left", -23 * time.Hour, time.Hour, doctor.Warning, "the next is due by"},
		{"a year, eight days left", -357 * day, 8 * day, doctor.OK, "good until"},
		{"a year, six days left", -359 * day, 6 * day, doctor.Warning, "the next is due by"},
		{"out of date", -2 * day, -day, doctor.Error, "cannot enrol"},
	} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(tt.made), NextUpdate: time.Now().Add(tt.end),
		}, issuer, key)
		check(t, err)
		o := config.Default()
		o.Data = t.TempDir()
		path := filepath.Join(o.Data, "factory.crl")
		check(t, os.WriteFile(path, der, 0o600))
		o.FactoryCRLs = []string{path}
		holds(t, tt.name, examine(t, o, "CRL of a factory"), tt.level, tt.says)
	}
	o := config.Default()
	o.Data = t.TempDir()
	o.FactoryCRLs = []string{filepath.Join(o.Data, "none")}
	holds(t, "none", examine(t, o, "CRL of a factory"), doctor.Error, "no such file")
}
