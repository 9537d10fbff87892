package foreign_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Updates are what the partner's update server has for devices that come: nothing, or
// one release with its image inside.
type updates struct {
	sequence uint64 // 0: no release
	envelope []byte
	manifest certHash
	reports  []bool // of devices: whether they installed it
}

// update is the gate of the update server.
func (f *foreign) update(factory *x509.Certificate, r coapRequest) coapResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.coming(factory)
	switch {
	case s == nil:
		return coapResponse{code: codes.Forbidden, format: -1}
	case r.path == "update" && r.code == codes.GET && !s.committed(),
		f.gates.attest && !s.passed.attest: // committed has not come here yet, or a verdict
		return coapResponse{code: codes.ServiceUnavailable, format: -1}
	case r.path == "update/r" && r.code == codes.POST && r.format == formatReport:
		return f.takeReport(r.payload)
	case r.path != "update" || r.code != codes.GET:
		return coapResponse{code: codes.BadRequest, format: -1}
	}
	query, err := url.ParseQuery(strings.Join(r.query, "&")) // there are no secrets here: k is of no use
	if err != nil {
		return coapResponse{code: codes.BadRequest, format: -1}
	}
	sequence, err := strconv.ParseUint(query.Get("s"), 10, 64)
	switch {
	case err != nil || len(query.Get("c")) != len("5ec63d37-cb67-5ec1-8555-411e8302aae3"):
		return coapResponse{code: codes.BadRequest, format: -1}
	case sequence < f.updates.sequence:
		return coapResponse{code: codes.Content, format: formatOctets, payload: f.updates.envelope}
	}
	s.passed.update = true
	f.pass(s)
	return coapResponse{code: codes.Valid, format: -1}
}

// takeReport notes what a device says of a manifest (draft-ietf-suit-report §4); f.mu is
// held.
func (f *foreign) takeReport(raw []byte) coapResponse {
	var report struct {
		Reference []cbor.RawMessage `cbor:"99,keyasint"`
		Result    any               `cbor:"4,keyasint"`
	}
	var about certHash
	err := decodeLoose(raw, &report)
	if err == nil && len(report.Reference) > 0 {
		err = decode(report.Reference[len(report.Reference)-1], &about)
	}
	if err != nil || !bytes.Equal(about.Value, f.updates.manifest.Value) {
		f.faults = append(f.faults, refused("report %x: %v", raw, err))
		return coapResponse{code: codes.BadRequest, format: -1}
	}
	f.updates.reports = append(f.updates.reports, report.Result == true)
	return coapResponse{code: codes.Changed, format: -1}
}

// The elements, commands and parameters of manifests (draft-ietf-suit-manifest-34 §11).
const (
	tagEnvelope = 107

	suitVersion, suitSequence, suitCommon             = 1, 2, 3
	suitValidate, suitInvoke, suitInstall             = 7, 9, 20
	suitComponents, suitShared                        = 2, 4
	onVendor, onClass, onImage                        = 1, 2, 3
	doIndex, doOverride, doFetch, doInvoke            = 12, 20, 21, 23
	paramVendor, paramClass, paramDigest, paramSize   = 1, 2, 3, 14
	paramURI                                          = 21
	suitAuthentication, suitManifest, reportAll, fail = 2, 3, 15, 2
)

// release makes a manifest for one image of a kind of devices, and signs it.
func (s signer) release(t *testing.T, b bundle, sequence uint64, image []byte) (envelope []byte, manifest certHash) {
	t.Helper()
	id := func(text string) []byte {
		raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	digest := func(of []byte) certHash { return certHash{Alg: -16, Value: hashOf(of)} }
	name := "#image"
	body := encode(map[int]any{
		suitVersion: 1, suitSequence: sequence,
		suitCommon: encode(map[int]any{
			suitComponents: [][][]byte{{id(b.Hardware.Components[0])}},
			suitShared: encode([]any{
				doIndex, 0, doOverride, map[int]any{
					paramVendor: id(b.Hardware.Vendor), paramClass: id(b.Hardware.Class),
					paramDigest: encode(digest(image)), paramSize: len(image),
				}, onVendor, reportAll, onClass, reportAll,
			}),
		}),
		suitInstall: encode([]any{
			doIndex, 0, doOverride, map[int]any{paramURI: name}, doFetch, fail, onImage, reportAll,
		}),
		suitValidate: encode([]any{doIndex, 0, onImage, reportAll}),
		suitInvoke:   encode([]any{doIndex, 0, doInvoke, fail}),
	})
	manifest = digest(encode(body)) // with the head of the byte string
	said := encode(manifest)
	protected := encode(map[int]any{1: -7, 4: kid(hashOf(s.certificate.Raw))})
	signature := encode(cbor.RawTag{Number: tagSign1, Content: encode([]any{
		protected, map[int]any{}, nil, s.raw(encode([]any{"Signature1", protected, []byte{}, said})),
	})})
	return tagged(tagEnvelope, encode(map[any]any{
		suitAuthentication: encode([][]byte{said, signature}), suitManifest: body, name: image,
	})), manifest
}

// installed expects that the newest receipt of a device names a manifest, and nothing
// else.
func installed(r *receipt, manifest certHash, sequence uint64) error {
	want := encode([]any{[]any{manifest, sequence}})
	if got := encode(r.Terms.Installed); !bytes.Equal(got, want) {
		return fmt.Errorf("label 28 of the receipt is %x, want %x", got, want)
	}
	return nil
}
