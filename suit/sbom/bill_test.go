package sbom_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"steward/suit/sbom"
)

// cyclone is shaped like the examples of ECMA-424.
const cyclone = `{
	"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
	"metadata": {"component": {"bom-ref": "fw", "name": "lamp", "version": "2.0", "purl": "pkg:generic/lamp@2.0"}},
	"components": [
		{"bom-ref": "ssl", "type": "library", "name": "mbedtls", "version": "3.5.0",
			"purl": "pkg:github/Mbed-TLS/mbedtls@3.5.0",
			"licenses": [{"license": {"id": "Apache-2.0"}}, {"expression": "GPL-2.0-or-later"}],
			"components": [{"bom-ref": "crypto", "group": "arm", "name": "psa", "purl": "pkg:generic/arm/psa@1.1"}]},
		{"bom-ref": "os", "name": "Zephyr", "version": "v3.6.0", "supplier": {"name": "Zephyr Project"}},
		{"bom-ref": "log", "name": "logger"}
	]
}`

const spdx = `{
	"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "lamp", "dataLicense": "CC0-1.0",
	"packages": [
		{"SPDXID": "SPDXRef-fw", "name": "lamp", "versionInfo": "2.0"},
		{"SPDXID": "SPDXRef-ssl", "name": "mbedtls", "versionInfo": "NOASSERTION", "supplier": "Organization: Arm",
			"licenseConcluded": "NOASSERTION", "licenseDeclared": "Apache-2.0",
			"externalRefs": [{"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:b"},
				{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
					"referenceLocator": "pkg:github/mbed-tls/mbedtls@3.5.0?a=b#c"}]}
	],
	"relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
		"relatedSpdxElement": "SPDXRef-fw"}]
}`

func parseBill(t *testing.T, text string) sbom.Bill {
	t.Helper()
	b, err := sbom.ParseBill([]byte(text))
	if err != nil {
		t.Fatalf("ParseBill: %v", err)
	}
	return b
}

func TestParseBill(t *testing.T) {
	t.Parallel()
	want := sbom.Bill{
		Format: "CycloneDX 1.6",
		Main:   sbom.Part{Ref: "fw", Name: "lamp", Version: "2.0", PURL: "pkg:generic/lamp@2.0"},
		Parts: []sbom.Part{
			{
				Ref: "ssl", Name: "mbedtls", Version: "3.5.0", PURL: "pkg:github/Mbed-TLS/mbedtls@3.5.0",
				License: "Apache-2.0, GPL-2.0-or-later",
			},
			{Ref: "crypto", Name: "arm/psa", Version: "1.1", PURL: "pkg:generic/arm/psa@1.1"},
			{Ref: "os", Name: "Zephyr", Version: "v3.6.0", Supplier: "Zephyr Project"},
			{Ref: "log", Name: "logger"},
		},
	}
	if got := parseBill(t, cyclone); !reflect.DeepEqual(got, want) {
		t.Errorf("ParseBill(CycloneDX) = %+v\nwant %+v", got, want)
	}
	want = sbom.Bill{
		Format: "SPDX-2.3", Main: sbom.Part{Ref: "SPDXRef-fw", Name: "lamp", Version: "2.0"},
		Parts: []sbom.Part{{
			Ref: "SPDXRef-ssl", Name: "mbedtls", Version: "3.5.0", PURL: "pkg:github/mbed-tls/mbedtls@3.5.0?a=b#c",
			Supplier: "Arm", License: "Apache-2.0",
		}},
	}
	if got := parseBill(t, spdx); !reflect.DeepEqual(got, want) {
		t.Errorf("ParseBill(SPDX) = %+v\nwant %+v", got, want)
	}
}

func TestParseBillRefuses(t *testing.T) {
	t.Parallel()
	replace := func(from, to string) string { return strings.Replace(cyclone, from, to, 1) }
	nested := strings.Repeat(`{"name": "a", "components": [`, 9) + strings.Repeat(`]}`, 9)
	tests := []struct {
		name, in string
		want     error
	}{
		{"empty", "", sbom.ErrSyntax},
		{"not JSON", "<bom/>", sbom.ErrSyntax},
		{"two values", cyclone + "{}", sbom.ErrSyntax},
		{"another document", `{"a": 1}`, sbom.ErrFormat},
		{"CycloneDX to come", replace(`"1.6"`, `"2.0"`), sbom.ErrFormat},
		{"SPDX 3", `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}`, sbom.ErrFormat},
		{"component without name", replace(`"name": "logger"`, `"name": " "`), sbom.ErrSyntax},
		{"control character", replace("logger", `a\u001b[2J`), sbom.ErrSyntax},
		{"long name", replace("logger", strings.Repeat("a", 600)), sbom.ErrSyntax},
		{"package URL", replace("pkg:github/Mbed-TLS/mbedtls@3.5.0", "github.com/mbedtls"), sbom.ErrSyntax},
		{"package URL without name", replace("pkg:github/Mbed-TLS/mbedtls@3.5.0", "pkg:github"), sbom.ErrSyntax},
		{"package URL, escape", replace("Mbed-TLS/mbedtls", "%zz"), sbom.ErrSyntax},
		{"nested", replace(`{"bom-ref": "log", "name": "logger"}`, nested), sbom.ErrLimit},
		{"name of another type", replace(`"logger"`, "7"), sbom.ErrSyntax},
		{
			"many packages",
			`{"spdxVersion": "SPDX-2.3", "packages": [{"name": "a"}` + strings.Repeat(`,{"name": "a"}`, sbom.MaxParts) + "]}",
			sbom.ErrLimit,
		},
		{"many bytes", `{"bomFormat": "CycloneDX"` + strings.Repeat(" ", sbom.MaxDocument) + "}", sbom.ErrLimit},
	}
	for _, tt := range tests {
		if _, err := sbom.ParseBill([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: ParseBill = %v, want %v", tt.name, err, tt.want)
		}
	}
}

// FuzzBill reads arbitrary documents: each part of what is accepted can be shown.
func FuzzBill(f *testing.F) {
	f.Add([]byte(cyclone))
	f.Add([]byte(spdx))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := sbom.ParseBill(raw)
		if err != nil {
			return
		}
		for _, p := range b.Parts {
			if p.Name == "" || strings.ContainsAny(fmt.Sprint(p), "\x00\x1b\n") {
				t.Errorf("ParseBill(%q) has %+q", raw, p)
			}
		}
	})
}
