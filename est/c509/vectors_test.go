package c509_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"steward/est/c509"
)

// A vector is an entry of an index.
type vector struct {
	ID    string            `json:"id"`
	Kind  string            `json:"kind"`
	Files map[string]string `json:"files"`
	C5T   map[string]string `json:"c5t_sha256"`
	Sizes map[string]int    `json:"sizes"`
	Keys  map[string]string `json:"keys"`
	dir   string
}

// vectors returns those in testdata and, if STEWARD_VECTORS names a folder, those
// of every index of C509 below it.
func vectors(tb testing.TB) []vector {
	tb.Helper()
	out := load(tb, filepath.Join("testdata", "c509", "INDEX.json"))
	root := os.Getenv("STEWARD_VECTORS")
	if root == "" {
		return out
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "INDEX.json" && filepath.Base(filepath.Dir(path)) == "c509" {
			out = append(out, load(tb, path)...)
		}
		return err
	})
	if err != nil {
		tb.Fatalf("STEWARD_VECTORS: %v", err)
	}
	return out
}

func load(tb testing.TB, path string) []vector {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("reading index: %v", err)
	}
	var index struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(raw, &index); err != nil || len(index.Vectors) == 0 {
		tb.Fatalf("%s: %d vectors, %v", path, len(index.Vectors), err)
	}
	for i := range index.Vectors {
		index.Vectors[i].dir = filepath.Dir(path)
	}
	return index.Vectors
}

// file returns a file of v in binary, or nil if it has none by that name.
func (v vector) file(tb testing.TB, name string) []byte {
	tb.Helper()
	file, ok := v.Files[name]
	if !ok {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(v.dir, file))
	if err != nil {
		tb.Fatalf("reading vector: %v", err)
	}
	decode := hex.DecodeString
	if strings.HasSuffix(file, ".b64") {
		decode = base64.StdEncoding.DecodeString
	}
	raw, err := decode(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return raw
}

func TestVectorsCertificates(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Kind != "cert" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			der, t3 := v.file(t, "x509"), v.file(t, "c509_t3")
			got, err := c509.ToDER(t3)
			if err != nil || !bytes.Equal(got, der) {
				t.Errorf("ToDER(type 3) = %x, %v, want %x", got, err, der)
			}
			checkEncoding(t, der, t3, c509.Options.FromDER)
			for name, sum := range v.C5T {
				if raw := v.file(t, name); name != "c509certdata" {
					checkCertificate(t, v, name, raw, sum)
				}
			}
			if data := v.file(t, "c509certdata"); data != nil {
				chain, err := c509.ParseChain(data)
				if err != nil || len(chain) != 1 || !bytes.Equal(c509.Chain(chain[0].Raw), data) {
					t.Errorf("ParseChain(%x) = %v, %v", data, chain, err)
				}
			}
		})
	}
}

// checkEncoding compares what der is encoded to with want, whose author may or may
// not have compressed the key.
func checkEncoding(t *testing.T, der, want []byte, encode func(c509.Options, []byte) ([]byte, error)) {
	t.Helper()
	short, err := encode(c509.Options{}, der)
	if err != nil {
		t.Fatalf("encoding, compressed: %v", err)
	}
	long, err := encode(c509.Options{Uncompressed: true}, der)
	if err != nil {
		t.Fatalf("encoding, uncompressed: %v", err)
	}
	if !bytes.Equal(short, want) && !bytes.Equal(long, want) {
		t.Errorf("encoded:\n%x or\n%x, want\n%x", short, long, want)
	}
}

// checkCertificate reads raw in both forms, and checks hash and signature.
func checkCertificate(t *testing.T, v vector, name string, raw []byte, sum string) {
	t.Helper()
	cert, err := c509.ParseCertificate(raw)
	if err != nil {
		t.Fatalf("ParseCertificate(%s): %v", name, err)
	}
	if got := cert.Hash(); hex.EncodeToString(got[:]) != sum {
		t.Errorf("Hash of %s = %x, want %s", name, got, sum)
	}
	sequence, err := c509.ParseCertificate(raw[1:])
	if err != nil || !bytes.Equal(sequence.Raw, raw) {
		t.Errorf("ParseCertificate(sequence of %s) = %v, %v, want the array", name, sequence, err)
	}
	issuer := issuerKey(t, v)
	if issuer == nil {
		return
	}
	if err := cert.Verify(issuer); err != nil {
		t.Errorf("Verify(%s): %v", name, err)
	}
	cert.DER[len(cert.DER)-1] ^= 1 // what was parsed does not alias it
	broken := bytes.Clone(raw)
	broken[len(broken)-1] ^= 1
	if cert, err := c509.ParseCertificate(broken); err != nil || cert.Verify(issuer) == nil {
		t.Errorf("%s verifies with another signature (%v)", name, err)
	}
}

// issuerKey returns the key that v's certificate is signed with, if it is known
// and of a kind that can be verified.
func issuerKey(t *testing.T, v vector) any {
	t.Helper()
	if text := v.Keys["issuer_public_compressed"]; text != "" {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return uncompress(t, raw)
	}
	if !strings.Contains(v.ID, "selfsign") {
		return nil
	}
	cert, err := x509.ParseCertificate(v.file(t, "x509"))
	if err != nil {
		t.Fatalf("x509: %v", err)
	}
	return cert.PublicKey
}

func TestVectorsRequests(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Kind != "csr" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			if der := v.file(t, "x509"); der != nil {
				t3 := v.file(t, "c509_t3")
				got, err := c509.RequestToDER(t3)
				if err != nil || !bytes.Equal(got, der) {
					t.Errorf("RequestToDER(type 3) = %x, %v, want %x", got, err, der)
				}
				checkEncoding(t, der, t3, c509.Options.RequestFromDER)
			}
			for _, name := range []string{"c509_t2", "c509_t3"} {
				raw := v.file(t, name)
				if raw == nil {
					continue
				}
				r, err := c509.ParseRequest(raw)
				if err != nil {
					t.Fatalf("ParseRequest(%s): %v", name, err)
				}
				if again, err := c509.ParseRequest(raw[1:]); err != nil || !bytes.Equal(again.Raw, raw) {
					t.Errorf("ParseRequest(sequence of %s) = %v, %v", name, again, err)
				}
				if err := r.Verify(); (err == nil) != strings.Contains(v.ID, "ecdsa") {
					t.Errorf("Verify(%s): %v", name, err)
				}
			}
		})
	}
}

// TestVectorsPossession recomputes the MAC of a request whose key cannot sign
// (RFC 6955 §4), over DER and over CBOR.
func TestVectorsPossession(t *testing.T) {
	all := vectors(t)
	find := func(id string) vector {
		return all[slices.IndexFunc(all, func(v vector) bool { return v.ID == id })]
	}
	request, peer := find("tv03-csr-dhsig-sha256"), find("tv03-selfsign-secp256r1")
	cert, err := x509.ParseCertificate(peer.file(t, "x509"))
	if err != nil {
		t.Fatalf("peer: %v", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(request.file(t, "key_pkcs8_b64"))
	if err != nil {
		t.Fatalf("key: %v", err)
	}
	private, err1 := key.(*ecdsa.PrivateKey).ECDH()
	public, err2 := cert.PublicKey.(*ecdsa.PublicKey).ECDH()
	if err1 != nil || err2 != nil {
		t.Fatalf("ECDH keys: %v, %v", err1, err2)
	}
	cborName, err := hex.DecodeString("481234567890abcdef")
	if err != nil {
		t.Fatal(err)
	}
	for name, dn := range map[string][]byte{"c509_t3": cert.RawSubject, "c509_t2": cborName} {
		raw := request.file(t, name)
		if _, err := c509.ParseRequest(raw); err != nil {
			t.Fatalf("ParseRequest(%s): %v", name, err)
		}
		message, mac := raw[1:len(raw)-34], raw[len(raw)-32:]
		if name == "c509_t3" {
			der := request.file(t, "x509")
			parsed, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatalf("x509: %v", err)
			}
			message = parsed.RawTBSCertificateRequest
		}
		if got := possession(t, private, public, dn, message); !bytes.Equal(got, mac) {
			t.Errorf("MAC of %s = %x, want %x", name, got, mac)
		}
	}
}

func possession(t *testing.T, key *ecdh.PrivateKey, peer *ecdh.PublicKey, dn, message []byte) []byte {
	t.Helper()
	shared, err := key.ECDH(peer)
	if err != nil {
		t.Fatalf("ECDH: %v", err)
	}
	k := sha256.Sum256(slices.Concat(dn, shared, dn)) // self-signed: subject and issuer are one
	mac := hmac.New(sha256.New, k[:])
	mac.Write(message)
	return mac.Sum(nil)
}

func TestVectorsTemplates(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Kind != "csrt" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			raw := v.file(t, "c509")
			template, err := c509.ParseTemplate(raw)
			if err != nil {
				t.Fatalf("ParseTemplate(%x): %v", raw, err)
			}
			if got, err := template.Encode(); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("Encode() = %x, %v, want %x", got, err, raw)
			}
		})
	}
}
