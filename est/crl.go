package est

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// A CRL is a certificate revocation list as it is published.
type CRL struct {
	DER        []byte
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Entries    int

	changed int64 // list.changed, of what it was made
}

// A CRLScope says what a CRL is about.
type CRLScope struct {
	Issuer Hash // of an issuing certificate
	// Shard is one of Shards parts, counted from zero, that the last byte of a serial
	// number decides, modulo Shards. Shards below two is the full CRL.
	Shard, Shards int
	// URL is the only place where a part is published, and stands in it (RFC 5280
	// §5.2.5). Full CRLs have none.
	URL string
}

// ShardOf returns the part of shards on which a serial number stands.
func ShardOf(serial *big.Int, shards int) int {
	b := serial.Bytes()
	if shards <= 1 || len(b) == 0 {
		return 0
	}
	return int(b[len(b)-1]) % shards
}

// Object identifiers of CRLs (RFC 5280 §5.2, §5.3).
var (
	oidReasonCode = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidCRLNumber  = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidIssuingDP  = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidAuthority  = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// expiredListed is how long an expired certificate stays listed: it must be on one
// regular CRL made after its end (RFC 5280 §3.3).
const expiredListed = 12 * time.Hour

// maxShards is what the last byte of a serial number can tell apart.
const maxShards = 256

// CRL makes the list of an issuing certificate, valid from now on for the given
// time. It returns ErrUnknown for another issuer, or ErrOptions.
func (ca *CA) CRL(ctx context.Context, s CRLScope, validity time.Duration) (CRL, error) {
	bad := s.Shard < 0 || s.Shard >= s.Shards || s.URL == ""
	if validity < time.Second || s.Shards > maxShards || s.Shards > 1 && bad {
		return CRL{}, fmt.Errorf("%w: CRL for %v, part %d of %d", ErrOptions, validity, s.Shard, s.Shards)
	}
	authority, err := ca.authorityOf(s.Issuer)
	if err != nil {
		return CRL{}, err
	}
	now := ca.now()
	out := CRL{ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(validity).Truncate(time.Second)}
	entries, err := ca.listed(ctx, s, now, &out)
	if err != nil {
		return CRL{}, err
	}
	if out.Number, err = ca.ledger.number(s.Issuer, now); err != nil {
		return CRL{}, err
	}
	out.DER, err = signed(ca.random(), authority.Signer, func(b *cryptobyte.Builder, alg []byte) {
		addTBSCertList(b, alg, authority.Certificate, out, entries, s.URL)
	}, nil)
	return out, err
}

// authorityOf returns the authority with that certificate, or ErrUnknown.
func (ca *CA) authorityOf(issuer Hash) (Authority, error) {
	for _, a := range ca.Authorities() {
		if a.Hash() == issuer {
			return a, nil
		}
	}
	return Authority{}, fmt.Errorf("%w: issuer %x", ErrUnknown, issuer[:8])
}

func (ca *CA) random() io.Reader {
	if ca.o.Rand != nil {
		return ca.o.Rand
	}
	return rand.Reader
}

// listed returns the entries of the scope in DER; out gets their number.
func (ca *CA) listed(ctx context.Context, s CRLScope, now time.Time, out *CRL) ([]byte, error) {
	if err := ca.load(ctx, s.Issuer); err != nil {
		return nil, err
	}
	l := ca.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.lists[s.Issuer]
	if list.failed != nil {
		return nil, list.failed
	}
	list.prune(now.Add(-expiredListed))
	entries, n := list.shard(s.Shard, s.Shards)
	out.Entries, out.changed = n, list.changed
	return entries, nil
}

// load reads the list of an issuing certificate from the Store, once. What is
// revoked meanwhile waits, and is taken once.
func (ca *CA) load(ctx context.Context, issuer Hash) error {
	l := ca.ledger
	l.loads.Lock() // held over the reading: others wait for the same
	defer l.loads.Unlock()
	l.mu.Lock()
	have := l.lists[issuer] != nil
	fresh := &list{loading: true}
	if !have {
		l.lists[issuer] = fresh
	}
	l.mu.Unlock()
	if have {
		return nil
	}
	read := &list{}
	known := map[Hash]bool{}
	err := ca.o.Store.Revoked(ctx, issuer, ca.now().Add(-expiredListed), func(r Revocation) error {
		known[r.Hash] = true
		read.put(r)
		return read.failed
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		delete(l.lists, issuer)
		return err
	}
	for _, r := range fresh.late {
		if !known[r.Hash] {
			read.put(r)
		}
	}
	for _, r := range l.strays {
		if r.Issuer == issuer && r.Serial != "" {
			read.put(r)
		}
	}
	l.lists[issuer] = read
	return read.failed
}

// addTBSCertList adds what is signed (RFC 5280 §5.1.2).
func addTBSCertList(b *cryptobyte.Builder, alg []byte, issuer *x509.Certificate, c CRL, entries []byte, url string) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1) // v2
		b.AddBytes(alg)
		b.AddBytes(issuer.RawSubject)
		addTime(b, c.ThisUpdate)
		addTime(b, c.NextUpdate)
		if c.Entries > 0 { // "must be absent" if there are none (§5.1.2.6)
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(entries) })
		}
		b.AddASN1(tag.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) { addCRLExtensions(b, issuer, c.Number, url) })
		})
	})
}

func addCRLExtensions(b *cryptobyte.Builder, issuer *x509.Certificate, number int64, url string) {
	context := func(n uint8) tag.Tag { return tag.Tag(n).ContextSpecific() }
	addExtension(b, oidAuthority, false, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(context(0), func(b *cryptobyte.Builder) { b.AddBytes(issuer.SubjectKeyId) })
		})
	})
	addExtension(b, oidCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1BigInt(big.NewInt(number)) })
	if url == "" {
		return
	}
	addExtension(b, oidIssuingDP, true, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { // distributionPoint
				b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { // fullName
					b.AddASN1(context(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(url)) })
				})
			})
		})
	})
}

// addExtension adds one Extension whose value is what value adds.
func addExtension(b *cryptobyte.Builder, id asn1.ObjectIdentifier, critical bool, value func(*cryptobyte.Builder)) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(tag.OCTET_STRING, value)
	})
}

// signed returns SEQUENCE { tbs, algorithm, signature, what after adds }: the form
// of CRLs and of basic OCSP answers. A nil after adds nothing. It returns ErrKey for
// a key that it cannot sign with.
func signed(random io.Reader, key crypto.Signer, tbs func(b *cryptobyte.Builder, alg []byte),
	after func(*cryptobyte.Builder),
) ([]byte, error) {
	oid, hash, err := signatureOf(key.Public())
	if err != nil {
		return nil, err
	}
	var a, t cryptobyte.Builder
	a.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	alg, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	tbs(&t, alg)
	content, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	message := content
	if hash != 0 {
		h := hash.New()
		_, _ = h.Write(content) // never fails
		message = h.Sum(nil)
	}
	signature, err := key.Sign(random, message, hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := cryptobyte.NewBuilder(make([]byte, 0, len(content)+len(signature)+64))
	out.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(content)
		b.AddBytes(alg)
		b.AddASN1BitString(signature)
		if after != nil {
			after(b)
		}
	})
	return out.Bytes()
}

// signatureOf returns the algorithm by which a key signs what we publish.
func signatureOf(pub crypto.PublicKey) (asn1.ObjectIdentifier, crypto.Hash, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return oidECDSAWithSHA256, crypto.SHA256, nil
		case elliptic.P384():
			return oidECDSAWithSHA384, crypto.SHA384, nil
		}
	case ed25519.PublicKey:
		return oidEd25519, 0, nil
	}
	return nil, 0, fmt.Errorf("%w: %T", ErrKey, pub)
}
