package c509_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"steward/est/c509"
)

func unhex(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

// extension encodes one in DER.
func extension(oid string, critical bool, value []byte) []byte {
	var flag []byte
	if critical {
		flag = unhex("0101ff")
	}
	return tlv(0x30, tlv(6, unhex(oid)), flag, tlv(4, value))
}

func otherName(oid, value string) []byte {
	return tlv(0x30, tlv(0xa0, tlv(6, unhex(oid)), tlv(0xa0, unhex(value))))
}

// TestExtensions has the values that the draft's text gives (§3.3.1), and one of
// each form, whose DER follows RFC 5280, 3779, 4108, 6960, 6962, 7633 and 9598.
// Each is decoded, and encoded again from the DER.
func TestExtensions(t *testing.T) {
	uri := tlv(0x86, []byte("a"))
	tests := []struct {
		name, cbor string
		want       [][]byte
	}{
		{"§3.3.1", "882320021708820309036b6578616d706c652e636f6d", [][]byte{
			extension("551d13", true, unhex("30030101ff")),
			extension("551d0f", false, unhex("030203e8")),
			extension("551d25", false, tlv(0x30, tlv(6, unhex("2b06010505070303")), tlv(6, unhex("2b06010505070309")))),
			extension("551d11", false, tlv(0x30, tlv(0x82, []byte("example.com")))),
		}},
		{"keyUsage alone, critical", "37", [][]byte{extension("551d0f", true, unhex("03020318"))}},
		{"keyUsage of nine bits alone", "190180", [][]byte{extension("551d0f", false, unhex("0303070180"))}},
		{"keyUsage of no bits alone", "00", [][]byte{extension("551d0f", false, unhex("030100"))}},
		{"keyUsage of no bits alone, critical", "8243551d0f8143030100", [][]byte{extension("551d0f", true, unhex("030100"))}},
		{"keyUsage of 24 bits alone", "1aff408000", [][]byte{extension("551d0f", false, unhex("030500000102ff"))}},
		{"path length", "820403", [][]byte{extension("551d13", false, unhex("30060101ff020103"))}},
		{"hardwareModuleName", "8203822082422a034109", [][]byte{
			extension("551d11", false, otherName("2b06010505070804", "300706022a03040109")),
		}},
		{"SmtpUTF8Mailbox", "820382216161", [][]byte{
			extension("551d11", false, otherName("2b06010505070809", "0c0161")),
		}},
		{"MACAddress", "8203822246010203040506", [][]byte{
			extension("551d11", false, otherName("2b0601050507080c", "0406010203040506")),
		}},
		{"otherName", "8203820082422a03420500", [][]byte{extension("551d11", false, otherName("2a03", "0500"))}},
		{"registeredID and directoryName", "82038408422a03046162", [][]byte{extension("551d11", false, tlv(0x30,
			tlv(0x88, unhex("2a03")),
			tlv(0xa4, tlv(0x30, tlv(0x31, tlv(0x30, unhex("0603550403"), unhex("0c0162")))))))}},
		{"nameConstraints", "82181a828207450a00000008f6", [][]byte{
			extension("551d1e", false, tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x87, unhex("0a000000ff000000")))))),
		}},
		{"two distribution points, reasons", "82058283616101f6838261616161f6f6", [][]byte{
			extension("551d1f", false, tlv(0x30,
				tlv(0x30, tlv(0xa0, tlv(0xa0, uri)), tlv(0x81, unhex("0780"))),
				tlv(0x30, tlv(0xa0, tlv(0xa0, uri, uri))))),
		}},
		{"distribution point, issuer", "820581836161f66162", [][]byte{
			extension("551d1f", false, tlv(0x30,
				tlv(0x30, tlv(0xa0, tlv(0xa0, uri)),
					tlv(0xa2, tlv(0xa4, tlv(0x30, tlv(0x31, tlv(0x30, unhex("0603550403"), unhex("0c0162"))))))))),
		}},
		{"authority key, all three", "82078341aa820661614105", [][]byte{
			extension("551d23", false, tlv(0x30, unhex("8001aa"), tlv(0xa1, uri), unhex("820105"))),
		}},
		{"user notice", "8206820082026161", [][]byte{
			extension("551d20", false, tlv(0x30, tlv(0x30,
				unhex("0604551d2000"),
				tlv(0x30, tlv(0x30, tlv(6, unhex("2b06010505070202")), tlv(0x30, tlv(0x0c, []byte("a")))))))),
		}},
		{"policy mappings", "82181b820001", [][]byte{
			extension("551d21", false, tlv(0x30, tlv(0x30,
				tlv(6, unhex("551d2000")), tlv(6, unhex("67810c010201"))))),
		}},
		{"policy constraints", "82181c82f602", [][]byte{extension("551d24", false, unhex("3003810102"))}},
		{"inhibitAnyPolicy, critical", "82381d00", [][]byte{extension("551d36", true, unhex("020100"))}},
		{"ocsp-nocheck", "821824f6", [][]byte{extension("2b0601050507300105", false, unhex("0500"))}},
		{"precertificate poison, critical", "823824f6", [][]byte{extension("2b06010401d679020403", true, unhex("0500"))}},
		{"TLS features", "821826820511", [][]byte{extension("2b06010505070118", false, unhex("3006020105020111"))}},
		{"AS numbers", "8218218201820205", [][]byte{
			extension("2b06010505070108", false, tlv(0x30, tlv(0xa0, tlv(0x30, unhex("020101"), unhex("3006020103020108"))))),
		}},
		{"AS numbers inherited", "821821f6", [][]byte{
			extension("2b06010505070108", false, tlv(0x30, tlv(0xa0, unhex("0500")))),
		}},
		{"addresses inherited, with SAFI", "821820830101f6", [][]byte{
			extension("2b06010505070107", false, tlv(0x30, tlv(0x30, unhex("0403000101"), unhex("0500")))),
		}},
		{"somebody's, critical", "82422a03814109", [][]byte{extension("2a03", true, unhex("09"))}},
	}
	for _, tt := range tests {
		cert := with(map[int]string{9: tt.cbor})
		der, err := c509.ToDER(cert)
		if want := tlv(0xa3, tlv(0x30, tt.want...)); !bytes.Contains(der, want) {
			t.Errorf("%s: ToDER(%s) = %x, %v, want %x in it", tt.name, tt.cbor, der, err, want)
		}
		if back, err := c509.FromDER(der); err != nil || !bytes.Equal(back, cert) {
			t.Errorf("%s: FromDER(%x) = %x, %v, want %x", tt.name, der, back, err, cert)
		}
	}
}

// TestDirectoryAttributes reads the form that drafts up to -20 have; it is written
// as OID and bytes, which all of them read.
func TestDirectoryAttributes(t *testing.T) {
	der, err := c509.ToDER(with(map[int]string{9: "821818820481625345"}))
	want := extension("551d09", false, tlv(0x30, tlv(0x30, unhex("0603550406"), tlv(0x31, unhex("0c025345")))))
	if err != nil || !bytes.Contains(der, want) {
		t.Fatalf("ToDER() = %x, %v, want %x in it", der, err, want)
	}
	short, err := c509.FromDER(der)
	if err != nil || !bytes.Contains(short, unhex("43551d09")) {
		t.Errorf("FromDER() = %x, %v, want the OID in it", short, err)
	}
}
