package services_test

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/keys"
	"steward/lwm2m/fleet"
	"steward/web"
)

// TestDevicePublicKey: a raw public key comes as PEM or hexadecimal, and as nothing else.
func TestDevicePublicKey(t *testing.T) {
	w := newWorld(t)
	seal, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.options.Keys = w.db.Credentials(seal)
	w.build(t, w.options)
	device := string(w.add(t, fleet.Device{Endpoint: "urn:dev:raw"}).ID)
	key, err := fleet.NewRawKey()
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	digits := hex.EncodeToString(key.Public)
	for name, text := range map[string]string{
		"PEM": block("PUBLIC KEY", key.Public), "hexadecimal": digits, "in lines": digits[:40] + "\n" + digits[40:],
		"with colons": digits[:2] + ":" + digits[2:4] + ":" + digits[4:], "in spaces": "  " + digits + "\n",
	} {
		got, err := w.Bootstraps.PutDeviceKey(t.Context(), alice, device, web.NewDeviceKey{Use: "server", PublicKey: text})
		if err != nil || len(got.Keys) != 1 || got.Keys[0].Kind != "rawkey" || got.Keys[0].Ours ||
			!bytes.Equal(got.Keys[0].PublicKey, key.Public) || got.Keys[0].Identity != key.Identity {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"private key": block("PRIVATE KEY", key.Secret), "certificate": block("CERTIFICATE", key.Public),
		"two": block("PUBLIC KEY", key.Public) + block("PUBLIC KEY", key.Public), "words": "a key", "odd": digits[1:],
		"long": strings.Repeat("0", 2049), "cut": digits[:60], "private key in hexadecimal": hex.EncodeToString(key.Secret),
	} {
		_, err := w.Bootstraps.PutDeviceKey(t.Context(), alice, device, web.NewDeviceKey{Use: "server", PublicKey: text})
		if !errors.Is(err, web.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	both := web.NewDeviceKey{Use: "server", PublicKey: digits, Identity: "x", Key: make([]byte, 16)}
	if _, err := w.Bootstraps.PutDeviceKey(t.Context(), alice, device, both); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("both kinds at once: %v", err)
	}
}

// TestProfileObjects: values of other objects are read by their definitions, and shown
// as they were written.
func TestProfileObjects(t *testing.T) {
	w := newWorld(t)
	seal, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.options.Keys = w.db.Credentials(seal)
	w.build(t, w.options)
	in := web.BootstrapProfile{
		Name: "meters", Mode: "x509", ShortID: 1, Lifetime: 60, Streams: true, Objects: []web.BootstrapInstance{{
			Path: "/2/0", Values: []web.BootstrapValue{{Path: "/2/0/0", Value: 3}, {Path: "/2/0/2/1", Value: 5}},
		}},
	}
	if _, err := w.Bootstraps.PutBootstrapProfile(t.Context(), alice, in); err != nil {
		t.Fatal(err)
	}
	got, err := w.Bootstraps.BootstrapProfiles(t.Context())
	if err != nil || len(got) != 1 || len(got[0].Objects) != 1 || got[0].Objects[0].Values[1].Value != int64(5) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, v := range map[string]web.BootstrapValue{
		"type": {Path: "/2/0/0", Value: "x"}, "path": {Path: "2/0"}, "null": {Path: "/2/0/0"},
		"elsewhere": {Path: "/2/1/0", Value: 1},
	} {
		in.Objects[0].Values = []web.BootstrapValue{v}
		_, err := w.Bootstraps.PutBootstrapProfile(t.Context(), alice, in)
		wantError(t, name, err, web.ErrInvalid)
	}
}
