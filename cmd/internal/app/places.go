package app

import (
	"encoding/hex"
	"fmt"
	"math/big"

	"steward/cmd/internal/config"
	"steward/est"
)

// publicationNameLength is that of an authority's name in URLs, in bytes of its
// hash: what certificates repeat is short.
const publicationNameLength = 8

// What published names end in (RFC 2585 §3).
const (
	crlSuffix  = ".crl"
	certSuffix = ".cer"
)

// places are the URLs of what is published.
type places struct {
	url   string // of the listener, for the world; "": nobody is told
	parts int    // of each CRL
}

func newPlaces(cfg config.Config) places {
	return places{url: cfg.Publication.URL, parts: max(cfg.Publication.Parts, 1)}
}

// authorityName names an authority in URLs.
func authorityName(h est.Hash) string { return hex.EncodeToString(h[:publicationNameLength]) }

func partName(i, n int) string { return fmt.Sprintf("%d-%d%s", i, n, crlSuffix) }

// crl is where a CRL is published.
func (p places) crl(s est.CRLScope) string {
	if s.Shards > 1 {
		return p.url + "/crl/" + authorityName(s.Issuer) + "/" + partName(s.Shard, s.Shards)
	}
	return p.url + "/crl/" + authorityName(s.Issuer) + crlSuffix
}

// pointers are what certificates say of it: nothing if nobody is told.
func (p places) pointers() est.Pointers {
	if p.url == "" {
		return est.Pointers{}
	}
	return est.Pointers{
		CRL: func(issuer est.Hash, serial *big.Int) string {
			scope := est.CRLScope{Issuer: issuer, Shards: p.parts}
			scope.Shard = est.ShardOf(serial, p.parts)
			return p.crl(scope)
		},
		Issuer: func(issuer est.Hash) string { return p.url + "/issuer/" + authorityName(issuer) + certSuffix },
		OCSP:   p.url + "/ocsp",
	}
}
