package process_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/suit"
	"steward/suit/cose"
	"steward/suit/process"
)

// An index is an INDEX.json.
type index struct {
	dir string
	own bool // it is the one in testdata

	Keys       map[string]vectorKey `json:"keys"`
	Auxiliary  map[string]string    `json:"aux_keys"`
	Encryption map[string]struct {
		Ciphertext string `json:"ciphertext"`
	} `json:"encryption_examples"`
	Vectors []vector `json:"vectors"`
}

// A vectorKey is one of the keys of an index; those of type hmac have no PEM but a
// secret.
type vectorKey struct {
	PEM    string `json:"public_pem"`
	KID    string `json:"kid"`
	Secret string `json:"k"`
}

// A vector is one case of either index.
type vector struct {
	Name        string      `json:"name"`
	What        string      `json:"what"`
	SHA256      string      `json:"sha256"`
	Tagged      *bool       `json:"tagged"`
	Key         string      `json:"key"`
	TrustedKeys []string    `json:"trusted_keys"`
	Procedure   string      `json:"procedure"`
	Expected    expectation `json:"expected"`
	Device      device      `json:"device"`
	Policy      struct {
		Digests []suit.DigestAlgorithm `json:"digests"`
	} `json:"policy"`
	Trace     []string `json:"trace"`
	Payload   string   `json:"payload_hex"`
	Plaintext string   `json:"plaintext_utf8"`
	KEK       string   `json:"kek"`
	Agreement string   `json:"esdh_d"`
	Oracle    struct {
		Update, Invoke run
		Lenient        run `json:"update_lenient"`
	} `json:"oracle"`
}

type expectation struct {
	Result          string             `json:"result"`
	Stage           process.Stage      `json:"stage"`
	Detail          string             `json:"detail"`
	ComponentsAfter map[string]*string `json:"components_after"`
	Invoked         *int               `json:"invoked"`
	UpdateResult    int                `json:"suggested_lwm2m_update_result"`
	ReportReason    *suit.ReportReason `json:"suit_report_reason"`
	AlsoAcceptable  string             `json:"also_acceptable"`
}

// A run is what the reference implementation did on its stub device.
type run struct {
	Result string        `json:"result"`
	Stage  process.Stage `json:"stage"`
	Trace  []string      `json:"trace"`
}

// A device is the device of a case; VendorID and ClassID are of published ones.
type device struct {
	VendorIDs      []string            `json:"vendor_ids"`
	ClassIDs       []string            `json:"class_ids"`
	VendorID       string              `json:"vendor_id"`
	ClassID        string              `json:"class_id"`
	DeviceID       string              `json:"device_id"`
	Sequence       uint64              `json:"sequence"`
	MaxComponents  int                 `json:"max_components"`
	Components     map[string]*string  `json:"components"`
	Capacity       map[string]uint64   `json:"capacity"`
	Slots          map[string]uint64   `json:"slots"`
	Fetch          map[string]*string  `json:"fetch"`
	Schemes        []string            `json:"schemes"`
	Extensions     []string            `json:"extensions"`
	Now            int64               `json:"now"`
	CustomCommands []suit.Code         `json:"custom_commands"`
	ACL            map[string][]string `json:"acl"`
}

// knownFolders hold an INDEX.json each, of this package or of others.
var knownFolders = []string{"suit-cases", "suit-published", "c509", "edhoc", "oscore"}

// loadIndexes returns the index of that kind in testdata and, if STEWARD_VECTORS
// names a folder, all those of that kind below it.
func loadIndexes(t *testing.T, kind string) []*index {
	t.Helper()
	list := []*index{loadIndex(t, filepath.Join("testdata", kind, "INDEX.json"))}
	list[0].own = true
	root := os.Getenv("STEWARD_VECTORS")
	if root == "" {
		return list
	}
	known, found := false, false
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		folder := filepath.Base(filepath.Dir(path))
		known = known || entry.Name() == "lwm2m.json" ||
			entry.Name() == "INDEX.json" && slices.Contains(knownFolders, folder)
		if entry.Name() == "INDEX.json" && folder == kind {
			found = true
			list = append(list, loadIndex(t, path))
		}
		return nil
	})
	switch {
	case err != nil:
		t.Fatalf("STEWARD_VECTORS: %v", err)
	case !known:
		t.Fatalf("STEWARD_VECTORS=%s has no index that is known", root)
	case !found:
		t.Run("STEWARD_VECTORS/"+kind, func(t *testing.T) { t.Skipf("%s has no %s", root, kind) })
	}
	return list
}

func loadIndex(t *testing.T, path string) *index {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading index: %v", err)
	}
	x := &index{dir: filepath.Dir(path)}
	if err := json.Unmarshal(raw, x); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(x.Vectors) == 0 {
		t.Fatalf("%s has no case", path)
	}
	return x
}

// envelope reads the envelope of a case and compares its hash.
func (x *index) envelope(t *testing.T, v vector) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(x.dir, v.Name+".hex"))
	if err != nil {
		t.Fatalf("reading vector: %v", err)
	}
	raw := unhex(t, strings.TrimSpace(string(text)))
	if sum := fmt.Sprintf("%x", sha256.Sum256(raw)); v.SHA256 != "" && sum != v.SHA256 {
		t.Fatalf("%s has SHA-256 %s, want %s", v.Name, sum, v.SHA256)
	}
	return raw
}

// anchors returns the trusted keys of a case.
func (x *index) anchors(t *testing.T, names []string, acl map[string][]string) []process.Anchor {
	t.Helper()
	var anchors []process.Anchor
	for _, name := range names {
		key, ok := x.Keys[name]
		if !ok {
			continue
		}
		a := process.Anchor{KID: unhex(t, key.KID)}
		if key.Secret != "" {
			var err error
			if a.Secret, err = cose.NewMACKey(unhex(t, key.Secret), nil); err != nil {
				t.Fatalf("NewMACKey: %v", err)
			}
		} else {
			a.Key = publicKey(t, key.PEM)
		}
		for _, prefix := range acl[name] {
			a.Components = append(a.Components, componentID(t, prefix))
		}
		anchors = append(anchors, a)
	}
	return anchors
}

// recipientKeys returns the keys by which a device decrypts: one that it shares
// with its group, and one of its own; either may be missing.
func recipientKeys(t *testing.T, kek, private string) []*cose.RecipientKey {
	t.Helper()
	var keys []*cose.RecipientKey
	if kek != "" {
		k, err := cose.NewSharedKey(unhex(t, kek), []byte("kid-1"))
		if err != nil {
			t.Fatalf("NewSharedKey: %v", err)
		}
		keys = append(keys, k)
	}
	if private != "" {
		d, err := ecdh.P256().NewPrivateKey(unhex(t, private))
		if err != nil {
			t.Fatalf("NewPrivateKey: %v", err)
		}
		k, err := cose.NewPrivateKey(d, []byte("kid-2"))
		if err != nil {
			t.Fatalf("NewPrivateKey: %v", err)
		}
		keys = append(keys, k)
	}
	return keys
}

// management is a device that agrees to everything.
func management(now int64) *process.Management {
	return &process.Management{
		Now:       func() time.Time { return time.Unix(now, 0) },
		Battery:   func(context.Context) (uint64, error) { return 1000, nil },
		Authorize: func(context.Context, int64) error { return nil },
		Version:   func(context.Context, suit.ComponentID) (suit.Version, error) { return suit.Version{0, 9}, nil },
		Wait:      func(context.Context, suit.Wait) error { return nil },
		Describe:  func(context.Context, process.Staging, suit.ComponentID, suit.Metadata) error { return nil },
	}
}

func publicKey(t *testing.T, text string) crypto.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("not PEM: %q", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatalf("ParsePKIXPublicKey: %v", err)
	}
	return key
}

// content resolves how an index gives bytes: hexadecimal, a file, or a size and a
// hash; the latter stand for a payload that differs from fw.bin in one place.
func (x *index) content(t *testing.T, text string) []byte {
	t.Helper()
	if strings.HasPrefix(text, "payloads/") {
		raw, err := os.ReadFile(filepath.Join(x.dir, text))
		if err != nil {
			t.Fatalf("reading payload: %v", err)
		}
		return raw
	}
	var size int
	if _, err := fmt.Sscanf(text, "%d bytes,", &size); err != nil {
		return unhex(t, text)
	}
	raw := x.content(t, "payloads/fw.bin")
	raw[0] ^= 1
	return append(raw, make([]byte, size)...)[:size]
}

// payloads returns what the server of a case serves.
func (x *index) payloads(t *testing.T, v vector) map[string][]byte {
	t.Helper()
	payloads := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(x.dir, "payloads", "*"))
	if err != nil {
		t.Fatalf("Glob: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		payloads["coap://[2001:db8::1]/fw/"+name] = x.content(t, "payloads/"+name)
	}
	for uri, text := range v.Device.Fetch {
		if uri == "default" {
			continue
		}
		payloads[uri] = nil
		if text != nil {
			payloads[uri] = x.content(t, *text)
		}
	}
	return payloads
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("hexadecimal %q: %v", text, err)
	}
	return raw
}

func unhexAll(t *testing.T, texts ...string) [][]byte {
	t.Helper()
	var list [][]byte
	for _, text := range texts {
		if text != "" {
			list = append(list, unhex(t, text))
		}
	}
	return list
}

// componentID reads hexadecimal segments joined by slashes.
func componentID(t *testing.T, text string) suit.ComponentID {
	t.Helper()
	return suit.NewComponentID(unhexAll(t, slices.Collect(strings.SplitSeq(text, "/"))...)...)
}
