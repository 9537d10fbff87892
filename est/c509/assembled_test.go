package c509_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

// tlv encodes one DER element.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

func (g *generator) pick(from ...string) []byte {
	raw, err := hex.DecodeString(from[g.IntN(len(from))])
	if err != nil {
		panic(err)
	}
	return raw
}

// assembled returns a certificate of random elements, of which C509 has forms for
// some; what is in it need not make sense.
func (g *generator) assembled(t *testing.T) []byte {
	t.Helper()
	alg := g.pick("300a06082a8648ce3d040302", "300506032b6570", "300d06092a864886f70d01010b0500",
		"300c06082a8648ce3d0403020500", "300706052b01020304", "300d06092a864886f70d0101010500", "300a06082b06010505070624")
	sig := g.octets(g.IntN(80))
	switch {
	case bytes.HasSuffix(alg, []byte{4, 3, 2}):
		size := []int{32, 48, 66}[g.IntN(3)]
		sig = tlv(0x30, g.number(size), g.number(size))
	case bytes.HasSuffix(alg, []byte{7, 6, 0x24}):
		sig = nil
	}
	subject := g.rdns()
	issuer := subject
	if g.chance(2) {
		issuer = g.rdns()
	}
	tbs := [][]byte{
		tlv(0xa0, []byte{2, 1, 2}), g.number(1 + g.IntN(20)), alg, issuer,
		tlv(0x30, g.time(), g.time()), subject, g.keyInfo(),
	}
	if exts := g.extensions(); len(exts) > 0 {
		tbs = append(tbs, tlv(0xa3, tlv(0x30, exts)))
	}
	return tlv(0x30, tlv(0x30, tbs...), alg, tlv(3, []byte{0}, sig))
}

// number returns a positive INTEGER of up to that many bytes.
func (g *generator) number(size int) []byte {
	raw := bytes.TrimLeft(g.octets(size), "\x00")
	if len(raw) == 0 || raw[0] >= 0x80 {
		raw = append([]byte{0}, raw...)
	}
	return tlv(2, raw)
}

func (g *generator) time() []byte {
	if g.chance(4) {
		return tlv(0x18, []byte([]string{"99991231235959Z", "20500101000000Z", "21060207062815Z"}[g.IntN(3)]))
	}
	return tlv(0x17, []byte([]string{"700101000000Z", "991231235959Z", "491231235959Z", "260228120000Z"}[g.IntN(4)]))
}

// rdns returns a Name with texts of all string types.
func (g *generator) rdns() []byte {
	var out []byte
	for range g.IntN(5) {
		oid := g.pick("550403", "550406", "550405", "2a864886f70d010901", "0992268993f22c640119", "55040a", "2a0304")
		tag := []byte{0x0c, 0x13, 0x16, 0x14, 0x1e}[g.IntN(5)]
		out = append(out, tlv(0x31, tlv(0x30, tlv(6, oid), tlv(tag, []byte(g.text()))))...)
	}
	return tlv(0x30, out)
}

func (g *generator) keyInfo() []byte {
	alg := g.pick("301306072a8648ce3d020106082a8648ce3d030107", "301406072a8648ce3d020106092b240303020801010d",
		"300506032b656e", "300e06072a8648ce3d020106032b0102", "300d06092a864886f70d0101010500")
	key := g.octets(32)
	switch {
	case bytes.HasSuffix(alg, []byte{3, 1, 7}):
		key = append([]byte{2}, g.octets(32)...)
		if g.chance(2) { // a point that is on no curve
			key = append([]byte{4}, g.octets(64)...)
		}
	case bytes.HasSuffix(alg, []byte{1, 1, 13}):
		key = append([]byte{4}, g.octets(128)...)
	case bytes.HasSuffix(alg, []byte{5, 0}):
		key = tlv(0x30, g.number(256), [][]byte{{2, 3, 1, 0, 1}, {2, 1, 3}}[g.IntN(2)])
	}
	return tlv(0x30, alg, tlv(3, []byte{0}, key))
}

// elements are values of extensions by the end of their OID, in 2.5.29 and in
// 1.3.6.1.5.5.7.1: for each one that C509 has a form for, and one that it has not.
var elements = map[string][]string{
	"551d0e": {"0403010203", "0400", "0c0161"},
	"551d0f": {"03020780", "0303070080", "030100", "03020000", "0304000102ff"},
	"551d11": {
		"3003820161", "300682026162820163", "30088706010203040506", "3012a010060a2b060104018237140203a0020500",
		"3017a01506082b06010505070804a009300706022a03040109", "300f8601758801298101408701ff82013a", "3003850161",
		"3015a4133011310f300d06035504030c06616263646566",
	},
	"551d13": {"3000", "30030101ff", "30060101ff020105", "3003010100", "3003020105"},
	"551d1f": {
		"300a3008a006a0048602613a", "30123008a006a0048602613a3006a004a0028600", "300e300ca006a0048602613a81020780",
		"3006300481020780", "30133011a006a0048602613aa207a4053003310100",
	},
	"551d20": {
		"300830060604551d2000", "301830160604551d2000300e300c06082b060105050702011600", "300430020600",
		"301c301a06022a033014301206082b0601050507020230060c0461626364",
	},
	"551d23": {"30038001aa", "300a8001aaa1028200820105", "3000", "300d8001aaa1058203616263820105"},
	"551d25": {"300a06082b06010505070301", "300e06082b0601050507030206022a03", "3000"},
	"551d1e": {
		"3007a0053003820161", "300ea00c300a8708c0000200ffffff00", "300ea00c300a8708c0000200ff00ff00",
		"300aa1083006820161800105",
	},
	"551d21": {"300c300a06022a030604551d2000", "30020500"},
	"551d24": {"3003800100", "3006800101810102", "3000", "30038001ff"},
	"551d36": {"020105", "0201ff"},
	"551d09": {"3000"},
	"2b06010505070101": {
		"3014301206082b060105050730018606613a2f2f6263", "3010300e06022a0382086162636465666768",
	},
	"2b06010505070107": {
		"300c300a04020001300403020780", "30083006040200010500", "300d300b0403000101300403020780",
		"3013301104020002300b0309000102030405060708", "3012301004020001300a3008030205e0030206c0",
	},
	"2b06010505070108":   {"300aa0083006020105020109", "3004a0020500", "300ca00a30083006020101020109", "3004a1020500"},
	"2b06010505070118":   {"3003020105", "30060201050201ff", "3000"},
	"2b0601050507300105": {"0500", "0501"},
}

func (g *generator) extensions() []byte {
	var out []byte
	for _, oid := range g.sortedOIDs() {
		if !g.chance(4) {
			continue
		}
		var critical []byte
		if g.chance(3) {
			critical = []byte{1, 1, 0xff}
		}
		value := g.pick(elements[oid]...)
		out = append(out, tlv(0x30, tlv(6, g.pick(oid)), critical, tlv(4, value))...)
	}
	return out
}

func (g *generator) sortedOIDs() []string {
	var out []string
	for oid := range elements {
		out = append(out, oid)
	}
	slices.Sort(out)
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
