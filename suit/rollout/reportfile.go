package rollout

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m/sheet"
	"steward/suit/cose"
)

// csvHeader names the columns of a report's CSV: one line a device.
var csvHeader = []string{
	"endpoint", "device", "model", "wave", "state", "aside", "result", "reason", "attempts", "first_at", "ended_at",
}

// WriteCSV writes one line for each device of a campaign (RFC 4180). What a
// spreadsheet would take for a formula gets an apostrophe in front, for devices
// choose their names. It returns ErrUnknown.
func (r *Runner) WriteCSV(ctx context.Context, id string, to io.Writer) error {
	c, err := r.o.Store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	w := csv.NewWriter(to)
	w.UseCRLF = true
	if err := w.Write(csvHeader); err != nil {
		return err
	}
	err = r.eachLine(ctx, id, func(l *Line) error {
		tries := 0
		for _, n := range l.Attempts {
			tries += n
		}
		if !l.FirstAt.IsZero() {
			tries++
		}
		return w.Write([]string{
			sheet.Harmless(l.Endpoint), sheet.Harmless(string(l.Device)),
			sheet.Harmless(strings.TrimSpace(l.Manufacturer + " " + l.Model)), sheet.Harmless(c.WaveName(l.Wave)),
			string(l.State), string(l.Aside), strconv.Itoa(l.Result), sheet.Harmless(l.Reason),
			strconv.Itoa(tries), stamp(l.FirstAt), stamp(l.EndedAt),
		})
	})
	w.Flush()
	return errors.Join(err, w.Error())
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ErrReport reports a signed report that does not verify.
var ErrReport = errors.New("report does not verify")

// reportType is the external_aad of signed reports (RFC 9052 §4.3): a signature of
// another purpose never makes one.
const reportType = "steward campaign report v1"

// SignReport returns a report as JSON in a COSE_Sign1 (RFC 9052 §4.2), tagged.
func SignReport(s *cose.Signer, r Report) ([]byte, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return cose.SignSign1(s, cose.Options{
		Protected: map[int64]any{cose.LabelContentType: "application/json"}, Payload: payload,
		ExternalAAD: []byte(reportType), Tagged: true,
	})
}

// VerifyReport checks what SignReport returned and reads the report. It returns
// ErrReport.
func VerifyReport(raw []byte, v *cose.Verifier) (r Report, err error) {
	payload, err := cose.VerifySign1(raw, v, nil, []byte(reportType))
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrReport, err)
	}
	return r, nil
}
