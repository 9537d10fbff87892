package codec_test

import (
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/codec"
)

// BenchmarkDecode reads the Device object of Core 1.2.2 §7.5 in each format.
func BenchmarkDecode(b *testing.B) {
	cases := readVectors(b, "testdata/lwm2m.json")
	s := schemaOf(cases...)
	for _, c := range cases {
		switch c.Name {
		case "tlv/read-3-0/corrected", "senml-json/read-3-0", "lwm2m-cbor/read-3-0":
			body, base := c.body(b), lwm2m.NewPath(3, 0)
			b.Run(c.Name, func(b *testing.B) { decodeOften(b, *c.Content, base, body, s) })
			if *c.Content == codec.SenMLJSON {
				entries, err := codec.Decode(*c.Content, base, body, s)
				if err != nil {
					b.Fatal(err)
				}
				binary, err := codec.Encode(codec.SenMLCBOR, base, entries, s)
				if err != nil {
					b.Fatal(err)
				}
				b.Run("senml-cbor/read-3-0", func(b *testing.B) { decodeOften(b, codec.SenMLCBOR, base, binary, s) })
			}
		}
	}
}

func decodeOften(b *testing.B, format uint16, base lwm2m.Path, body []byte, s lwm2m.Schema) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Decode(format, base, body, s); err != nil {
			b.Fatal(err)
		}
	}
}
