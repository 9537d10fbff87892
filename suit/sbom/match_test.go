package sbom_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"steward/suit/sbom"
)

// osv is shaped like an answer of an OSV service.
const osv = `{"vulns": [
	{"id": "GHSA-aaaa", "aliases": ["CVE-2026-1"], "summary": "overread in <b>TLS</b>",
		"database_specific": {"severity": "HIGH"},
		"affected": [{"package": {"ecosystem": "GIT", "name": "mbedtls", "purl": "pkg:github/mbed-tls/mbedtls"},
			"ranges": [{"type": "SEMVER", "events": [{"introduced": "3.0.0"}, {"fixed": "3.5.2"}, {"introduced": "3.6.0"}]}]}]},
	{"id": "CVE-2026-2", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
		"affected": [{"package": {"purl": "pkg:github/mbed-tls/mbedtls"}, "versions": ["3.5.0"]}]},
	{"id": "CVE-2026-3",
		"affected": [{"package": {"purl": "pkg:github/mbed-tls/mbedtls"},
			"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "3.4.9"}]}]}]},
	{"id": "CVE-2026-4", "affected": [{"package": {"ecosystem": "Debian:12", "name": "zephyr"}, "versions": ["3.6.0"]}]},
	{"id": "CVE-2026-5", "withdrawn": "2026-01-02T03:04:05Z", "affected": [{"package": {"purl": "pkg:generic/arm/psa"}}]},
	{"id": "CVE-2026-6", "affected": [{"package": {"purl": "pkg:generic/arm/psa"},
		"ranges": [{"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abcdef"}]}]}]},
	{"id": "CVE-2026-7", "affected": [{"package": {"ecosystem": "npm", "name": "logger"}, "versions": ["1.0"]}]}
]}`

const openVEX = `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1",
	"author": "x", "version": 1,
	"statements": [
		{"vulnerability": {"name": "CVE-2026-1"}, "status": "not_affected", "justification": "vulnerable_code_not_present",
			"products": [{"@id": "pkg:generic/lamp@2.0", "subcomponents": [{"@id": "pkg:github/mbed-tls/mbedtls"}]}]},
		{"vulnerability": {"name": "CVE-2026-2"}, "status": "fixed",
			"products": [{"@id": "pkg:generic/lamp@1.0", "subcomponents": [{"@id": "pkg:github/mbed-tls/mbedtls"}]}]},
		{"vulnerability": {"name": "CVE-2026-6"}, "status": "affected", "action_statement": "update",
			"products": [{"@id": "x", "identifiers": {"purl": "pkg:generic/lamp"}}]}
	]}`

const cycloneVEX = `{"bomFormat": "CycloneDX", "specVersion": "1.5",
	"vulnerabilities": [
		{"id": "CVE-2026-2", "ratings": [{"severity": "low"}],
			"analysis": {"state": "in_triage", "justification": "code_not_reachable", "response": ["update"]},
			"affects": [{"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#ssl",
				"versions": [{"range": "vers:github/>=3.5|<3.6"}, {"version": "3.7", "status": "unaffected"}]}]},
		{"id": "CVE-2026-8", "analysis": {"state": "exploitable"}, "affects": [{"ref": "pkg:generic/arm/psa@1.1"}]}
	]}`

func lists(t *testing.T, texts ...string) (out []sbom.List) {
	t.Helper()
	for _, text := range texts {
		l, err := sbom.ParseList([]byte(text))
		if err != nil {
			t.Fatalf("ParseList: %v", err)
		}
		out = append(out, l)
	}
	return out
}

func TestMatch(t *testing.T) {
	t.Parallel()
	b := parseBill(t, cyclone)
	tests := []struct {
		name  string
		lists []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"a database", []string{osv}, []string{
			"CVE-2026-1 mbedtls affected 3.5.2", "CVE-2026-2 mbedtls affected ", "CVE-2026-4 Zephyr under_investigation ",
			"CVE-2026-6 arm/psa under_investigation ", "CVE-2026-7 logger under_investigation ",
		}},
		{"a statement about the product", []string{openVEX, osv}, []string{
			"CVE-2026-2 mbedtls affected ", "CVE-2026-6 arm/psa affected ", "CVE-2026-4 Zephyr under_investigation ",
			"CVE-2026-7 logger under_investigation ", "CVE-2026-1 mbedtls not_affected 3.5.2",
		}},
		{"the later one", []string{osv, openVEX, cycloneVEX}, []string{
			"CVE-2026-6 arm/psa affected ", "CVE-2026-8 arm/psa affected ", "CVE-2026-2 mbedtls under_investigation 3.6",
			"CVE-2026-4 Zephyr under_investigation ", "CVE-2026-7 logger under_investigation ",
			"CVE-2026-1 mbedtls not_affected 3.5.2",
		}},
	}
	for _, tt := range tests {
		var got []string
		for _, f := range b.Match(lists(t, tt.lists...)...) {
			got = append(got, fmt.Sprintf("%s %s %s %s", f.Vulnerability, f.Part.Name, f.Status, f.FixedIn))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: Match =\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
	first := b.Match(lists(t, osv, openVEX)...)
	i := slices.IndexFunc(first, func(f sbom.Finding) bool { return f.Vulnerability == "CVE-2026-1" })
	f := first[i]
	if f.Summary != "overread in <b>TLS</b>" || f.Severity != "HIGH" || !slices.Equal(f.Aliases, []string{"GHSA-aaaa"}) ||
		f.Detail != "vulnerable code not present" || !f.Analysed {
		t.Errorf("finding = %+v", f)
	}
}

func TestParseListRefuses(t *testing.T) {
	t.Parallel()
	vex := func(from, to string) string { return strings.Replace(cycloneVEX, from, to, 1) }
	tests := []struct {
		name, in string
		want     error
	}{
		{"empty", "", sbom.ErrSyntax},
		{"another document", `{"a": 1}`, sbom.ErrFormat},
		{"a bill without vulnerabilities", cyclone, sbom.ErrSyntax},
		{"OSV without identifier", `[{"affected": [{"package": {"name": "a"}}]}]`, sbom.ErrSyntax},
		{"OSV that affects nothing", `{"id": "A"}`, sbom.ErrSyntax},
		{"OSV, package URL", `{"id": "A", "affected": [{"package": {"purl": "a"}}]}`, sbom.ErrSyntax},
		{"OSV, control character", `{"id": "A\u0007", "affected": [{"package": {"name": "a"}}]}`, sbom.ErrSyntax},
		{"OpenVEX status", strings.Replace(openVEX, "not_affected", "unaffected", 1), sbom.ErrSyntax},
		{"analysis state", vex("in_triage", "unknown"), sbom.ErrSyntax},
		{"range", vex("vers:github/>=3.5|<3.6", "3.5"), sbom.ErrSyntax},
		{"range with an exception", vex("<3.6", "!=3.6"), sbom.ErrSyntax},
		{"CycloneDX to come", vex(`"1.5"`, `"2.5"`), sbom.ErrFormat},
		{
			"many", "[" + strings.Repeat(`{"id":"A","affected":[{}]},`, sbom.MaxAdvisories) + `{"id":"A","affected":[{}]}]`,
			sbom.ErrLimit,
		},
		{"many statements", `{"id": "A", "affected": [{}` + strings.Repeat(",{}", 2000) + "]}", sbom.ErrLimit},
	}
	for _, tt := range tests {
		if _, err := sbom.ParseList([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: ParseList = %v, want %v", tt.name, err, tt.want)
		}
	}
}

// FuzzList matches arbitrary lists with a bill: every finding is about a part of it.
func FuzzList(f *testing.F) {
	for _, text := range []string{osv, openVEX, cycloneVEX} {
		f.Add([]byte(text))
	}
	b, err := sbom.ParseBill([]byte(cyclone))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := sbom.ParseList(raw)
		if err != nil {
			return
		}
		for _, found := range b.Match(l, l) {
			if found.Vulnerability == "" || !slices.Contains(b.Parts, found.Part) {
				t.Errorf("Match of %q has %+v", raw, found)
			}
		}
	})
}
