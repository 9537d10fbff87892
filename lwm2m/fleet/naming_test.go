package fleet_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// certificate makes one of a template, signed by its own key.
func certificate(t *testing.T, c x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hardware is the subjectAltName, in hex, whose general names are given (RFC 5280
// §4.2.1.6), as an extension.
func hardware(t *testing.T, names string) []pkix.Extension {
	t.Helper()
	body, err := hex.DecodeString(strings.ReplaceAll(names, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: append([]byte{0x30, byte(len(body))}, body...)}}
}

// Names of hardware: otherName { 1.3.6.1.5.5.7.8.4, HardwareModuleName { 1.2.3, serial } }
// (RFC 4108 §5), with the serials "SN-1" and 00 ff.
const (
	hardwareText = "a018 06082b06010505070804 a00c 300a 06022a03 0404534e2d31"
	hardwareRaw  = "a016 06082b06010505070804 a00a 3008 06022a03 040200ff"
)

func TestNaming(t *testing.T) {
	uri := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	cn := pkix.Name{CommonName: "alpha"}
	all := []fleet.NameSource{fleet.NameURI, fleet.NameHardware, fleet.NameDNS, fleet.NameCommon}
	for name, c := range map[string]struct {
		sources []fleet.NameSource
		c       x509.Certificate
		want    lwm2m.Endpoint // "": ErrNameless
	}{
		"common name by default": {nil, x509.Certificate{Subject: cn, DNSNames: []string{"beta"}}, "alpha"},
		"no common name":         {nil, x509.Certificate{DNSNames: []string{"beta"}}, ""},
		"two common names": {nil, x509.Certificate{Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: []int{2, 5, 4, 3}, Value: "alpha"}, {Type: []int{2, 5, 4, 3}, Value: "beta"},
		}}}, ""},
		"control character":  {nil, x509.Certificate{Subject: pkix.Name{CommonName: "a\x01"}}, ""},
		"URN":                {all, x509.Certificate{Subject: cn, URIs: []*url.URL{uri("urn:dev:os:7")}}, "urn:dev:os:7"},
		"a place is no name": {all, x509.Certificate{Subject: cn, URIs: []*url.URL{uri("https://a.example")}}, "alpha"},
		"two URNs":           {all, x509.Certificate{URIs: []*url.URL{uri("urn:dev:a"), uri("urn:dev:b")}}, ""},
		"DNS name":           {all, x509.Certificate{Subject: cn, DNSNames: []string{"d.example"}}, "d.example"},
		"not asked for":      {[]fleet.NameSource{fleet.NameDNS}, x509.Certificate{Subject: cn}, ""},
		"hardware":           {all, x509.Certificate{Subject: cn, ExtraExtensions: hardware(t, hardwareText)}, "SN-1"},
		"hardware in bytes":  {all, x509.Certificate{Subject: cn, ExtraExtensions: hardware(t, hardwareRaw)}, "00ff"},
		"two serials":        {all, x509.Certificate{ExtraExtensions: hardware(t, hardwareText+hardwareRaw)}, ""},
		"otherName of others": {
			all, x509.Certificate{Subject: cn, ExtraExtensions: hardware(t, "a007 06012a a002 0500")}, "alpha",
		},
		"hardware cut short": {
			all, x509.Certificate{Subject: cn, ExtraExtensions: hardware(t, "a00e 06082b06010505070804 a002 3000")}, "",
		},
		"the order decides": {
			[]fleet.NameSource{fleet.NameCommon, fleet.NameURI},
			x509.Certificate{Subject: cn, URIs: []*url.URL{uri("urn:dev:victim")}},
			"alpha",
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := fleet.NewNaming(c.sources, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := n.Endpoint(certificate(t, c.c))
			if got != c.want || (c.want == "") != errors.Is(err, fleet.ErrNameless) {
				t.Errorf("Endpoint = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// A name that the table gives to one certificate is never that of another.
func TestNamingByTable(t *testing.T) {
	table, err := fleet.ReadNames(strings.NewReader("# serial\tendpoint\nSN-1\turn:dev:alpha\n\nself\t" + "self\n"))
	if err != nil || len(table) != 2 {
		t.Fatal(table, err)
	}
	n, err := fleet.NewNaming(nil, table)
	if err != nil || n.Plain() {
		t.Fatal(n.Plain(), err)
	}
	for cn, want := range map[string]lwm2m.Endpoint{
		"SN-1": "urn:dev:alpha", "urn:dev:alpha": "", "other": "other", "self": "self",
	} {
		got, err := n.Endpoint(certificate(t, x509.Certificate{Subject: pkix.Name{CommonName: cn}}))
		if got != want || (want == "") != errors.Is(err, fleet.ErrNameless) {
			t.Errorf("%s: %q, %v, want %q", cn, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"no tab": "SN-1 urn", "no endpoint": "SN-1\t", "no name": "\tx", "twice": "a\tb\na\tc", "control": "a\tb\x01",
		"a long line": strings.Repeat("a", 1<<17),
	} {
		if _, err := fleet.ReadNames(strings.NewReader(text)); !errors.Is(err, fleet.ErrNaming) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		sources []fleet.NameSource
		table   map[string]lwm2m.Endpoint
	}{
		"source":          {sources: []fleet.NameSource{"email"}},
		"source twice":    {sources: []fleet.NameSource{fleet.NameURI, fleet.NameURI}},
		"one for two":     {table: map[string]lwm2m.Endpoint{"a": "x", "b": "x"}},
		"its own and two": {table: map[string]lwm2m.Endpoint{"x": "x", "b": "x"}},
	} {
		if _, err := fleet.NewNaming(c.sources, c.table); !errors.Is(err, fleet.ErrNaming) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNaming(f *testing.F) {
	for _, seed := range []string{hardwareText, hardwareRaw, "a000", "8200"} {
		raw, err := hex.DecodeString(strings.ReplaceAll(seed, " ", ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{0x30, byte(len(raw))}, raw...))
	}
	n, err := fleet.NewNaming([]fleet.NameSource{fleet.NameHardware}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, san []byte) {
		c := &x509.Certificate{Extensions: []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: san}}}
		if ep, err := n.Endpoint(c); err == nil && len(ep) > 2*len(san) {
			t.Errorf("%x names %q", san, ep)
		}
	})
}
