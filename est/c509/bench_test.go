package c509_test

import (
	"testing"

	"steward/est/c509"
)

// BenchmarkCodec has the cost of what a CA and a device do with one certificate of
// appendix A.1 of the draft: DER to C509, which includes reading it back, and C509 to DER.
func BenchmarkCodec(b *testing.B) {
	short := with(nil)
	der, err := c509.ToDER(short)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("FromDER", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c509.FromDER(der); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ToDER", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c509.ToDER(short); err != nil {
				b.Fatal(err)
			}
		}
	})
}
