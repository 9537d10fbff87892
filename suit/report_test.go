package suit_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"steward/suit"
)

func fullReport(tb testing.TB) *suit.Report {
	tb.Helper()
	slot, err := suit.NewParameter(suit.ParameterComponentSlot, uint64(1))
	if err != nil {
		tb.Fatalf("NewParameter: %v", err)
	}
	record := suit.Record{
		Manifest: []int{1, 0}, Section: suit.ElementInstall, Offset: 44, Component: 1, Parameters: []suit.Parameter{slot},
	}
	return &suit.Report{
		URI: "https://h/m", Digest: suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}, Nonce: []byte{1},
		Records: []suit.Record{record, {System: suit.ComponentPath("fw"), Parameters: []suit.Parameter{slot}}, {}},
		Failure: &suit.Failure{Code: -3, Record: record, Reason: suit.ReportCondition},
		Capabilities: &suit.Capabilities{
			Components: []suit.ComponentID{suit.ComponentPath("fw")}, Commands: []suit.Code{-300, 1},
			Parameters: []suit.Key{1}, Algorithms: []int64{-9, 5},
		},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := fullReport(t)
	got, err := suit.ParseReport(r.Encode())
	if err != nil || !bytes.Equal(got.Encode(), r.Encode()) {
		t.Fatalf("ParseReport = %+v, %v", got, err)
	}
	if f := got.Failure; f.Code != -3 || f.Reason.String() != "condition not met" || f.Record.Manifest[0] != 1 ||
		got.Records[1].System != suit.ComponentPath("fw") || got.Records[0].Parameters[0].Uint() != 1 {
		t.Errorf("report = %+v", got)
	}
	// draft-ietf-suit-report §4: reference, records and result of a success
	short := (&suit.Report{Digest: suit.Digest{Algorithm: suit.SHA256, Value: []byte{0}}}).Encode()
	if want := "a3038004f51863" + "81822f4100"; hex.EncodeToString(short) != want {
		t.Errorf("Encode = %x, want %s", short, want)
	}
	for name, in := range map[string]string{
		"empty":              "",
		"not a map":          "80",
		"no reference":       "a2038004f5",
		"no result":          "a20380186381822f4100",
		"result is false":    "a3038004f4186381822f4100",
		"unknown element":    "a4038004f5090018638" + "1822f4100",
		"short record":       "a303818004f5186381822f4100",
		"component far away": "a3038185800000" + "1b0000000100000000a0" + "04f5186381822f4100",
	} {
		raw, err := hex.DecodeString(in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = suit.ParseReport(raw)
		if !errors.Is(err, suit.ErrStructure) && !errors.Is(err, suit.ErrEncoding) {
			t.Errorf("%s: ParseReport = %v", name, err)
		}
	}
}

// FuzzReport decodes arbitrary reports: what is accepted encodes to the same.
func FuzzReport(f *testing.F) {
	f.Add(fullReport(f).Encode())
	f.Add((&suit.Report{}).Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := suit.ParseReport(raw)
		if err != nil {
			return
		}
		if again := r.Encode(); !bytes.Equal(again, raw) {
			t.Errorf("Encode(ParseReport(%x)) = %x", raw, again)
		}
	})
}
