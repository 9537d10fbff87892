package c509_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"steward/est/c509"
)

// base is appendix A.1 of the draft, type 3, by item.
var base = []string{
	"03", "4301f50d", "00", "6b5246432074657374204341", "1a63b0cd00", "1a6955b900", "d830460123456789ab", "01",
	"5821feb1216ab96e5b3b3340f5bdf02e693f16213a04525ed44450b1019c2dfd3838ab", "01",
	"5840d4320b1d6849e309219d30037e138166f2508247dddae76cceea55053c108e90" +
		"d551f6d60106f1abb484cfbe6256c178e4ac3314ea19191e8b607da5ae3bda16",
}

// with returns base with other items.
func with(change map[int]string) []byte {
	items := append([]string{"8b"}, base...)
	for i, v := range change {
		items[i+1] = v
	}
	raw, err := hex.DecodeString(strings.Join(items, ""))
	if err != nil {
		panic(err)
	}
	return raw
}

func TestParseCertificateRefuses(t *testing.T) {
	if _, err := c509.ToDER(with(nil)); err != nil {
		t.Fatalf("ToDER(A.1): %v", err)
	}
	exts := func(s string) map[int]string { return map[int]string{9: s} }
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"empty", nil, c509.ErrForm},
		{"truncated", with(nil)[:100], c509.ErrCBOR},
		{"trailing byte", append(with(nil), 0), c509.ErrCBOR},
		{"too large", make([]byte, c509.MaxSize+1), c509.ErrSize},
		{"too many items", with(exts("991388" + strings.Repeat("00", 5000))), c509.ErrSize},
		{"nested too deep", with(exts(strings.Repeat("81", 20) + "00")), c509.ErrCBOR},
		{"indefinite length", with(exts("9fff")), c509.ErrCBOR},
		{"number not shortest", with(map[int]string{2: "1800"}), c509.ErrCBOR},
		{"float", with(exts("f93c00")), c509.ErrCBOR},
		{"map", with(exts("a0")), c509.ErrCBOR},
		{"text not UTF-8", with(map[int]string{3: "61ff"}), c509.ErrCBOR},
		{"array longer than the input", with(exts("9a7fffffff")), c509.ErrCBOR},
		{"ten items", append([]byte{0x8a}, with(nil)[2:]...), c509.ErrForm},
		{"type 1", with(map[int]string{0: "01"}), c509.ErrCode},
		{"serial number with leading zero", with(map[int]string{1: "420001"}), c509.ErrForm},
		{"serial number is a number", with(map[int]string{1: "01"}), c509.ErrForm},
		{"unknown signature algorithm", with(map[int]string{2: "1863"}), c509.ErrCode},
		{"signature algorithm that has a code", with(map[int]string{2: "482a8648ce3d040302"}), c509.ErrForm},
		{"broken OID", with(map[int]string{2: "422a80"}), c509.ErrForm},
		{"issuer repeats the subject", with(map[int]string{3: "d830460123456789ab"}), c509.ErrForm},
		{"hex as text", with(map[int]string{3: "626162"}), c509.ErrForm},
		{"MAC address as text", with(map[int]string{3: "7730312d32332d34352d36372d38392d41422d43442d4546"}), c509.ErrForm},
		{"EUI-64 that is shorter as 48 bits", with(map[int]string{6: "d83048012345fffe6789ab"}), c509.ErrForm},
		{"MAC address of 7 bytes", with(map[int]string{6: "d8304701234567890011"}), c509.ErrForm},
		{"sole common name in an array", with(map[int]string{3: "82016161"}), c509.ErrForm},
		{"name with a type alone", with(map[int]string{3: "8101"}), c509.ErrForm},
		{"unknown attribute", with(map[int]string{3: "8218636161"}), c509.ErrCode},
		{"country of three letters, native", with(map[int]string{0: "02", 3: "820463535745"}), c509.ErrForm},
		{"serial number with an asterisk, native", with(map[int]string{0: "02", 3: "8203612a"}), c509.ErrForm},
		{"printable string that is not ASCII", with(map[int]string{3: "822062c3a9"}), c509.ErrForm},
		{"printable e-mail address in IA5", with(map[int]string{3: "8235612e"}), c509.ErrForm},
		{"null subject", with(map[int]string{6: "f6"}), c509.ErrForm},
		{"time before 1970", with(map[int]string{4: "20"}), c509.ErrForm},
		{"no expiry as a number", with(map[int]string{5: "1b0000003afff4417f"}), c509.ErrForm},
		{"time after 9999", with(map[int]string{5: "1b0000003afff44180"}), c509.ErrForm},
		{"unknown key algorithm", with(map[int]string{7: "0a"}), c509.ErrCode},
		{"point with a wrong octet", with(map[int]string{8: "582105" + base[8][6:]}), c509.ErrForm},
		{"point on no curve", with(map[int]string{8: "5821fe" + strings.Repeat("ff", 32)}), c509.ErrPoint},
		{"compressed point of brainpoolP256r1", with(map[int]string{7: "1818"}), c509.ErrPoint},
		{"point too short", with(map[int]string{8: "42fe01"}), c509.ErrForm},
		{"unknown extension", with(exts("82186300")), c509.ErrCode},
		{"extension without value", with(exts("8104")), c509.ErrForm},
		{"sole keyUsage in an array", with(exts("820201")), c509.ErrForm},
		{"keyUsage of 64 bits alone, critical", with(exts("3bffffffffffffffff")), c509.ErrForm},
		{"address of five bytes", with(exts("82038207450a00000001")), c509.ErrForm},
		{"sole DNS name in an array", with(exts("820382026161")), c509.ErrForm},
		{"sole key purpose in an array", with(exts("82088101")), c509.ErrForm},
		{"unknown key purpose", with(exts("82081863")), c509.ErrCode},
		{"unknown general name", with(exts("8203820300")), c509.ErrCode},
		{"sole distribution point in an array", with(exts("820581836161f6f6")), c509.ErrForm},
		{"basicConstraints -3", with(exts("820422")), c509.ErrForm},
		{"prefix of 33 bits", with(exts("82181a828207450102030421f6")), c509.ErrForm},
		{"signature of odd length", with(map[int]string{10: "4101"}), c509.ErrForm},
		{"bytes beside unsigned", with(map[int]string{2: "05", 10: "4101"}), c509.ErrForm},
		{"native with a printable string", with(map[int]string{0: "02", 3: "8223625345"}), c509.ErrForm},
		{"native with an OID that has a code", with(map[int]string{0: "02", 9: "8208482b06010505070301"}), c509.ErrForm},
	}
	for _, tt := range tests {
		if got, err := c509.ParseCertificate(tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseCertificate(%x) = %v, %v, want %v", tt.name, tt.in, got, err, tt.err)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	request := func(attributes string) []byte {
		raw, err := hex.DecodeString("8703006161015821" + base[8][4:] + attributes + base[10])
		if err != nil {
			panic(err)
		}
		return raw
	}
	if _, err := c509.ParseRequest(request("80")); err != nil {
		t.Fatalf("ParseRequest: %v", err)
	}
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"six items", append([]byte{0x86}, request("80")[2:]...), c509.ErrForm},
		{"attributes are a number", request("00"), c509.ErrForm},
		{"unknown attribute", request("820300"), c509.ErrCode},
		{"attribute by OID without DER", request("82422a034101"), c509.ErrForm},
		{"password is a number", request("820100"), c509.ErrForm},
		{"printable password that is not", request("8201d879612a"), c509.ErrForm},
		{"statement of two", request("82028261614101"), c509.ErrForm},
		{"statement with a broken certificate", request("820283616141014100"), c509.ErrForm},
	}
	for _, tt := range tests {
		if got, err := c509.ParseRequest(tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseRequest(%x) = %v, %v, want %v", tt.name, tt.in, got, err, tt.err)
		}
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		err      error
	}{
		{"another type", "8701f7f7f7f7f7f7", c509.ErrCode},
		{"a key", "8700f7f7f7f740f7", c509.ErrForm},
		{"nothing to choose from", "870080f7f7f7f7f7", c509.ErrForm},
		{"unknown request type", "87008104f7f7f7f7f7", c509.ErrCode},
		{"unknown signature algorithm", "8700f7811863f7f7f7f7", c509.ErrCode},
		{"unknown key algorithm", "8700f7f7f7811863f7f7", c509.ErrCode},
		{"negative attribute", "8700f7f784200101f7f7f7f7", c509.ErrForm},
		{"at most none", "8700f7f784010000f7f7f7f7", c509.ErrForm},
		{"more at least than at most", "8700f7f784010201f7f7f7f7", c509.ErrForm},
		{"negative extension", "8700f7f7f7f7f78322f4f7", c509.ErrForm},
		{"optional is a number", "8700f7f7f7f7f7830300f7", c509.ErrForm},
		{"truncated", "8700f7f7f7f7", c509.ErrCBOR},
	}
	for _, tt := range tests {
		in, err := hex.DecodeString(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c509.ParseTemplate(in); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseTemplate(%x) = %v, %v, want %v", tt.name, in, got, err, tt.err)
		}
	}
}

func TestParseChainRefuses(t *testing.T) {
	cert := with(nil)
	nine := make([][]byte, c509.MaxChain+1)
	for i := range nine {
		nine[i] = cert
	}
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"one in an array", append([]byte{0x81}, c509.Chain(cert)...), c509.ErrForm},
		{"none", []byte{0x80}, c509.ErrForm},
		{"not wrapped", []byte{0x82, 1, 1}, c509.ErrForm},
		{"a sequence", c509.Chain(cert[1:]), c509.ErrForm},
		{"too many", c509.Chain(nine...), c509.ErrSize},
		{"not CBOR", []byte{0xff}, c509.ErrCBOR},
	}
	for _, tt := range tests {
		if got, err := c509.ParseChain(tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseChain(%x) = %v, %v, want %v", tt.name, tt.in, got, err, tt.err)
		}
	}
	if got, err := c509.ParseChain(c509.Chain(cert, cert)); err != nil || len(got) != 2 || !bytes.Equal(got[1].Raw, cert) {
		t.Errorf("ParseChain of two = %v, %v", got, err)
	}
}

func TestFromDERRefuses(t *testing.T) {
	good, err := c509.ToDER(with(nil))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, by string) []byte {
		text := hex.EncodeToString(good)
		if len(old) != len(by) || !strings.Contains(text, old) {
			t.Fatalf("cannot replace %s", old)
		}
		raw, err := hex.DecodeString(strings.Replace(text, old, by, 1))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"empty", nil, c509.ErrDER},
		{"truncated", good[:len(good)-1], c509.ErrDER},
		{"trailing byte", append(bytes.Clone(good), 0), c509.ErrDER},
		{"too large", make([]byte, c509.MaxSize+1), c509.ErrSize},
		{"version 1", tlv(0x30, tlv(0x30, unhex("020101")), unhex("300506032b6570"), unhex("030100")), c509.ErrNoForm},
		{"version 2", replace("a003020102", "a003020101"), c509.ErrNoForm},
		{"negative serial number", replace("020301f50d", "0203f1f50d"), c509.ErrNoForm},
		{"two signature algorithms", replace("300a06082a8648ce3d040302", "300a06082a8648ce3d040303"), c509.ErrNoForm},
		{"unused bits in the signature", replace("034900304602", "034901304602"), c509.ErrNoForm},
		{"signature that is no ECDSA signature", replace("034900304602", "034900304603"), c509.ErrNoForm},
		{"time before 1970", replace("3233303130313030", "3639303130313030"), c509.ErrNoForm},
		{"second 60", replace("3233303130313030303030305a", "3233303130313030303036305a"), c509.ErrNoForm},
	}
	for _, tt := range tests {
		if got, err := c509.FromDER(tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: FromDER(%x) = %x, %v, want %v", tt.name, tt.in, got, err, tt.err)
		}
	}
}
