package peer_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"steward/est/attest"
	"steward/transfer"
)

// TestMessages holds that transfer.cddl has the labels that messages have, the
// optional ones marked.
func TestMessages(t *testing.T) {
	text, err := os.ReadFile("transfer.cddl")
	if err != nil {
		t.Fatal(err)
	}
	defined := definitions(string(text))
	for name, message := range map[string]any{
		"Mandate": transfer.Mandate{}, "Destination": transfer.Destination{}, "TransferOffer": transfer.Offer{},
		"TransferMessage": transfer.Message{}, "Receipt": transfer.Receipt{}, "RightStatus": transfer.RightStatus{},
		"Anchors": transfer.Anchors{}, "Answer": transfer.Answer{}, "Ready": transfer.ReadyBody{},
		"Completion": transfer.Completion{}, "Withdrawal": transfer.Withdrawal{}, "Extension": transfer.Extension{},
		"Agreement": transfer.Agreement{}, "OfferApproval": transfer.OfferApproval{}, "RaInfo": transfer.RAInfo{},
		"Appraisal": transfer.Appraisal{}, "Challenge": attest.Challenge{}, "Component": attest.Component{},
		"Record": transfer.Record{}, "RecordSigner": transfer.RecordSigner{},
		"RecordApproval": transfer.RecordApproval{}, "RecordDevice": transfer.RecordDevice{},
		"RecordCertificate": transfer.RecordCertificate{}, "RecordRekey": transfer.RecordRekey{},
		"RecordExtension": transfer.RecordExtension{}, "RecordRevision": transfer.RecordRevision{},
		"Retirement": transfer.Retirement{}, "RetirementRecord": transfer.RetirementRecord{},
	} {
		want := tagsOf(reflect.TypeOf(message))
		slices.Sort(want)
		if got := defined[name]; !slices.Equal(got, want) {
			t.Errorf("%s: transfer.cddl has %v, the message %v", name, got, want)
		}
	}
}

// definitions returns the sorted labels of each definition of a map, as in "12" and
// "?29".
func definitions(text string) map[string][]string {
	out, name := map[string][]string{}, ""
	label := regexp.MustCompile(`(\? ?)?(-?\d+) =>`)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		if before, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, " ") {
			name = strings.TrimSpace(before)
		}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			out[name] = append(out[name], strings.TrimSpace(m[1])+m[2])
		}
	}
	for _, labels := range out {
		slices.Sort(labels)
	}
	return out
}

// tagsOf returns the labels of a message and of its private claim.
func tagsOf(t reflect.Type) (labels []string) {
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		if tag == "" {
			continue
		}
		if strings.Contains(options, "omit") {
			tag = "?" + tag
		}
		labels = append(labels, tag)
		if f.Anonymous {
			labels = append(labels, tagsOf(f.Type)...)
		}
	}
	return labels
}
