package coordinator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"steward/transfer/coordinator"
)

func TestReadSubmission(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"JWS", `{"info":"e30.AA.AA","mandate":"0oQ="}`, true},
		{"COSE, the other way round", ` { "mandate" : "0oQ=" , "info_cose":"0oQ=" } `, true},
		{"escapes that nobody needs", `{"info_cose":"0oQ\u003d","mandate":"0oQ\u003D", "info_cose":""}`, false},
		{"escaped", `{"info_cose":"0oQ\u003d","mandate":"\/\/8\u003D"}`, true},
		{"both", `{"info":"e30.AA.AA","info_cose":"0oQ=","mandate":"0oQ="}`, false},
		{"info twice", `{"info":"e30.AA.AA","info":"e30.AA.AA","mandate":"0oQ="}`, false},
		{"an empty one, then another", `{"info":"","info":"e30.AA.AA","mandate":"0oQ="}`, false},
		{"COSE where a JWS should be", `{"info":"\u0052\u0084","mandate":"0oQ="}`, false},
		{"a JWS where COSE should be", `{"info_cose":"e30uQUEuQUE=","mandate":"0oQ="}`, false},
		{"no mandate", `{"info":"e30.AA.AA"}`, false},
		{"no info", `{"mandate":"0oQ="}`, false},
		{"unknown member", `{"info":"e30.AA.AA","mandate":"0oQ=","more":"x"}`, false},
		{"a long unknown member", `{"` + strings.Repeat("x", 1<<16) + `":"x"}`, false},
		{"null", `{"info":null,"mandate":"0oQ="}`, false},
		{"not base64", `{"info":"e30.AA.AA","mandate":"0oQ"}`, false},
		{"bits that say nothing", `{"info":"e30.AA.AA","mandate":"0oR="}`, false},
		{"line break", "{\"info\":\"e30.AA.AA\",\"mandate\":\"0o\nQ=\"}", false},
		{"escaped line break", `{"info":"e30.AA.AA","mandate":"0o\nQ="}`, false},
		{"line break as a number", `{"info":"e30.AA.AA","mandate":"0o\u000aQ="}`, false},
		{"beyond ASCII", `{"info":"e30.AA.Aä","mandate":"0oQ="}`, false},
		{"cut in a text", `{"info":"e30.AA.AA","mandate":"0o`, false},
		{"cut in an escape", `{"info":"e30.AA.AA","mandate":"0o\u00`, false},
		{"cut behind a member", `{"info":"e30.AA.AA","mandate":"0oQ="`, false},
		{"comma at the end", `{"info":"e30.AA.AA","mandate":"0oQ=",}`, false},
		{"more behind it", `{"info":"e30.AA.AA","mandate":"0oQ="}{}`, false},
		{"an array", `[]`, false},
		{"nothing", ``, false},
	} {
		docs, err := coordinator.ReadSubmission(strings.NewReader(tt.in), int64(len(tt.in)))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%s: %+v, %v", tt.name, docs, err)
		}
	}
}

// TestReadSubmissionOnce holds the memory for a long document against its length: it is
// read into a buffer that never grows, in either order of the members.
func TestReadSubmissionOnce(t *testing.T) {
	const size = 4 << 20
	for name, in := range map[string]string{
		"information first": `{"info":"` + strings.Repeat("A", size) + `","mandate":"0oQ="}`,
		"information last":  `{"mandate":"0oQ=","info":"` + strings.Repeat("A", size) + `"}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := coordinator.ReadSubmission(strings.NewReader(in), int64(len(in)))
		check(t, err)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 2*size+size/2 { // room for each member
			t.Errorf("%s: %d bytes for a document of %d", name, used, size)
		}
	}
}

// FuzzReadSubmission: what is read, encoding/json reads in the same way.
func FuzzReadSubmission(f *testing.F) {
	f.Add([]byte(`{"info":"e30.AA.AA","mandate":"0oQ="}`))
	f.Add([]byte(`{"mandate":"0oQ\u003d","info_cose":"0oQ="}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		docs, err := coordinator.ReadSubmission(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		var s coordinator.Submission
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatalf("%q is read: %v", raw, err)
		}
		info := s.InfoCOSE
		if info == nil {
			info = []byte(s.Info)
		}
		if !bytes.Equal(info, docs.Info) || !bytes.Equal(s.Mandate, docs.Mandate) {
			t.Errorf("%q: %+v, want %+v", raw, docs, s)
		}
	})
}
