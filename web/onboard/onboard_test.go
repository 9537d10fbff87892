package onboard_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"steward/web"
	"steward/web/onboard"
)

const key = "00112233445566778899aabbccddeeff"

func certificate(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "meter-1"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseList(t *testing.T) {
	der := certificate(t)
	text := "\ufeffendpoint,Security,identity,key,certificate,tags\r\n" +
		"meter-1,psk,,00:11:22:33 44556677 8899aabbccddeeff,,north meter\r\n" +
		"meter-2,,id 2," + key + "\r\n" +
		"\r\n" +
		",,,,\"" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + "\",\r\n" +
		",certificate,,," + base64.StdEncoding.EncodeToString(der) + ",\r\n" +
		"lamp,nosec,,,,\r\n" +
		"lamp,nosec,,,,\r\n" +
		"short,psk,,0011,,\r\n" +
		"odd,psk,,xyz,,\r\n" +
		"none,,,,,\r\n" +
		"both,nosec,," + key + ",,\r\n" +
		"many,nosec,,,,,,,,\r\n" +
		"bad\"quote,nosec\r\n" +
		",psk,," + key + ",,\r\n" +
		",certificate,,,AAAA,\r\n"
	list, err := onboard.ParseList(text)
	if err != nil {
		t.Fatal(err)
	}
	if list.Header != "endpoint,Security,identity,key,certificate,tags" {
		t.Errorf("header = %q", list.Header)
	}
	want := []struct {
		line     int
		security onboard.Security
		identity string
		problem  string
	}{
		{2, onboard.PSK, "meter-1", ""},
		{3, onboard.PSK, "id 2", ""},
		{5, onboard.Certificate, "", ""},
		{0, onboard.Certificate, "", ""},
		{0, onboard.NoSec, "", ""},
		{0, onboard.NoSec, "", "already"},
		{0, onboard.PSK, "", "key"},
		{0, onboard.PSK, "", "hexadecimal"},
		{0, "", "", "security"},
		{0, onboard.NoSec, "", "psk only"},
		{0, "", "", "fields"},
		{0, "", "", "quotes"},
		{0, onboard.PSK, "", "endpoint"},
		{0, onboard.Certificate, "", "cannot be read"},
	}
	if len(list.Lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(list.Lines), len(want))
	}
	for i, w := range want {
		l := list.Lines[i]
		problem := fmt.Sprint(l.Problem)
		if (w.problem == "") != (l.Problem == nil) || !strings.Contains(problem, w.problem) && l.Problem != nil {
			t.Errorf("line %d %q: problem %v, want %q", l.Number, l.Text, l.Problem, w.problem)
		}
		if l.Problem != nil && !errors.Is(l.Problem, onboard.ErrEntry) {
			t.Errorf("line %d: %v is no ErrEntry", l.Number, l.Problem)
		}
		if w.line > 0 && l.Number != w.line || w.problem == "" && l.Entry.Security != w.security ||
			w.identity != "" && l.Entry.Identity != w.identity {
			t.Errorf("line %d: %+v, want %+v", l.Number, l.Entry, w)
		}
		if first, _, _ := strings.Cut(l.Text, ","); l.Text == "" || strings.Contains(first, "\n") {
			t.Errorf("line %d stands as %q", l.Number, l.Text)
		}
	}
	if got := list.Lines[0].Entry; got.Use != web.KeyServer || !reflect.DeepEqual(got.Tags, []string{"north", "meter"}) {
		t.Errorf("the first = %+v", got)
	}
	// What is left of a list is a list again.
	again, err := onboard.ParseList(list.Header + "\n" + list.Lines[2].Text + "\n" + list.Lines[1].Text)
	if err != nil || len(again.Lines) != 2 || again.Lines[0].Problem != nil || again.Lines[1].Entry.Endpoint != "meter-2" {
		t.Errorf("the rest: %+v, %v", again, err)
	}
}

func TestParseListRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "an unknown column": "endpoint,colour\na,b\n", "a column twice": "endpoint,endpoint\na,b\n",
		"no name": "tags\na\n", "no device": "endpoint\n", "too many": "endpoint\n" + strings.Repeat("a\n", 1001),
		"too long": "endpoint\n" + strings.Repeat("a", onboard.MaxList),
	} {
		if _, err := onboard.ParseList(text); !errors.Is(err, onboard.ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l, err := onboard.ParseList("endpoint;security\na;nosec\n"); err != nil || l.Lines[0].Problem != nil {
		t.Errorf("semicolons: %+v, %v", l, err)
	}
}

func TestLabel(t *testing.T) {
	for text, want := range map[string]error{
		"LWM2M:e=meter-1&s=psk&i=meter-1&k=" + key:                     nil,
		" lwm2m:e=meter%201&k=" + key + "&t=north&t=a+b&u=bootstrap\n": nil,
		"LWM2M:e=lamp&s=nosec":                                         nil,
		"LWM2M:e=m&s=rawkey&p=3059":                                    nil,
		"LWM2M:e=m":                                                    onboard.ErrEntry,
		"LWM2M:e=m&k=0011":                                             onboard.ErrEntry,
		"LWM2M:e=m&k=xx":                                               onboard.ErrEntry,
		"LWM2M:e=m&c=%%%":                                              onboard.ErrLabel,
		"LWM2M:e=m&c=.":                                                onboard.ErrEntry,
		"LWM2M:e=m&e=n&s=nosec":                                        onboard.ErrLabel,
		"LWM2M:e=m&s=nosec&z=1":                                        onboard.ErrLabel,
		"LWM2M:e=m&s=nosec&es=1":                                       onboard.ErrLabel,
		"https://example.com/":                                         onboard.ErrLabel,
		"LWM2M:" + strings.Repeat("a", 4000):                           onboard.ErrLabel,
		"":                                                             onboard.ErrLabel,
	} {
		e, err := onboard.ParseLabel(text)
		if !errors.Is(err, want) {
			t.Errorf("ParseLabel(%q): %v, want %v", text, err, want)
		}
		if err == nil {
			again, err := onboard.ParseLabel(e.Label(true))
			if err != nil || !reflect.DeepEqual(again, e) {
				t.Errorf("%q is again %+v, %v; want %+v", e.Label(true), again, err, e)
			}
		}
	}
	e := onboard.Entry{Certificate: certificate(t)}
	if err := e.Complete(); err != nil {
		t.Fatal(err)
	}
	again, err := onboard.ParseLabel(e.Label(false))
	if err != nil || !reflect.DeepEqual(again.Certificate, e.Certificate) {
		t.Errorf("a certificate: %+v, %v", again, err)
	}
	p := onboard.Entry{Endpoint: "m", Security: onboard.PSK, Identity: "m", Key: make([]byte, 16)}
	if text := p.Label(false); strings.Contains(text, "k=") {
		t.Errorf("a label without secrets is %q", text)
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add("LWM2M:e=meter-1&s=psk&i=meter-1&k=" + key)
	f.Add("LWM2M:e=m&s=rawkey&p=3059")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := onboard.ParseLabel(text)
		if err != nil {
			return
		}
		again, err := onboard.ParseLabel(e.Label(true))
		if err != nil && len(e.Label(true)) < 2900 || err == nil && again.Endpoint != e.Endpoint {
			t.Errorf("%q: %+v is again %+v, %v", text, e, again, err)
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add("endpoint,security,key\nm,psk," + key + "\n\"a\nb\",nosec,\n")
	f.Add("endpoint;tags\r\na;b c\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := onboard.ParseList(text)
		if err != nil {
			return
		}
		for _, l := range list.Lines {
			if !strings.Contains(text, l.Text) || l.Number < 2 {
				t.Errorf("line %d is %q, which the text has not", l.Number, l.Text)
			}
			if l.Problem == nil && l.Entry.Complete() != nil {
				t.Errorf("line %d: %v", l.Number, l.Entry.Complete())
			}
		}
	})
}
