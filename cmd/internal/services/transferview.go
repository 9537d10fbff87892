package services

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

func direction(t coordinator.Transfer) web.Direction {
	if t.Incoming {
		return web.Incoming
	}
	return web.Outgoing
}

// show returns a transfer with the numbers of its devices.
func (s *transfers) show(ctx context.Context, t coordinator.Transfer) (web.Transfer, error) {
	counts, err := s.Coordinator.Count(ctx, t.ID)
	if err != nil {
		return web.Transfer{}, translate(err)
	}
	out := web.Transfer{
		ID: t.ID, Direction: direction(t), Partner: t.Partner, PartnerName: t.PartnerName, State: string(t.State),
		Level: transferLevel(t), Ended: t.Over(), Counts: web.Counts{}, Earliest: t.Window.Earliest.Time(),
		Latest: t.Window.Latest.Time(), Actions: actions(t), CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
	}
	if t.Rehearse {
		out.Rehearsal = &web.Rehearsal{Over: t.Rehearsed, Ready: t.WereReady}
	}
	for state, n := range counts {
		out.Counts[string(state)] = n
		out.Total += n
		switch {
		case state == transfer.RowFinalised || state == transfer.RowRevokedOld:
			out.Done += n
		case coordinator.Row{State: state}.Failed():
			out.Failed += n
		}
	}
	return out, nil
}

func transferLevel(t coordinator.Transfer) web.Level {
	switch t.State {
	case transfer.BatchDraft:
		return web.LevelNeutral
	case transfer.BatchComplete:
		return web.LevelGood
	case transfer.BatchCancelled, transfer.BatchExpired, transfer.BatchPartial:
		return web.LevelWarning
	default:
		if t.Paused {
			return web.LevelWarning
		}
		return web.LevelActive
	}
}

// detail returns what an approver must see.
func (s *transfers) detail(
	t coordinator.Transfer, shown web.Transfer, docs coordinator.Documents, partner coordinator.Partner,
) web.TransferDetail {
	out := web.TransferDetail{
		Attest: t.Attest, Verifier: t.Verifier, UpdateFirst: t.UpdateFirst, UpdateRelease: t.Release,
		Transfer: shown, Note: t.Note,
		Next:  nextOf(t),
		Grace: int64(t.Grace / time.Second),
		Mandate: web.MandateView{
			Issuer: t.MandateIssuer, Self: t.Self, From: s.Name, To: t.PartnerName, Until: t.MandateUntil,
		},
	}
	if t.Incoming {
		out.Mandate.From, out.Mandate.To = t.PartnerName, s.Name
	}
	if !t.Mandate.IsZero() {
		out.Mandate.Hash = t.Mandate.String()
	}
	for _, a := range t.Approvals {
		out.Approvals = append(out.Approvals, web.Approval(a))
	}
	var reset transfer.Reset
	if !t.Offer.IsZero() {
		out.Destination, reset = destination(docs.Offer)
	}
	if l := t.Last; l.Release != "" {
		out.LastUpdate = &web.LastUpdate{Release: l.Release, Name: l.Name, Campaign: l.Campaign, Reason: l.Refused}
	}
	out.AskedLatest = t.Asked.Latest.Time()
	out.Warnings = warnings(t, partner, out.Destination != nil && reset == transfer.ResetKeepApplication)
	return out
}

// nextOf says what comes of a transfer.
func nextOf(t coordinator.Transfer) string {
	if t.Paused && t.State == transfer.BatchSwitching {
		return "Devices that were told to move go on. The others wait until an administrator of the outgoing provider " +
			"resumes."
	}
	if t.Rehearse && t.State == transfer.BatchStaging {
		return "It is a rehearsal: when each device is READY, or has had its time, all drop what they were given."
	}
	return t.State.Next(t.Incoming)
}

// resets says in words what each reset profile erases.
var resets = map[transfer.Reset]string{
	transfer.ResetKeepApplication: "keys and connections; the data of applications stays",
	transfer.ResetData:            "keys, connections and the data of applications",
	transfer.ResetReference:       "keys, connections and data, back to the reference state",
	transfer.ResetFactory:         "everything, back to the state of delivery",
}

// destination returns where devices are to go by an offer, nil if there is none.
// The coordinator has verified it.
func destination(offer []byte) (*web.Destination, transfer.Reset) {
	if len(offer) == 0 {
		return nil, 0
	}
	signed, err := transfer.ParseOffer(offer)
	if err != nil {
		return nil, 0
	}
	d, err := transfer.ParseDestination(signed.Body.Destination)
	if err != nil {
		return nil, 0
	}
	subjects := map[transfer.Thumbprint]string{}
	for _, a := range signed.Body.Anchors {
		if c, err := x509.ParseCertificate(a.Certificate); err == nil {
			subjects[transfer.HashOf(c.Raw).Thumbprint()] = c.Subject.String()
		}
	}
	out := &web.Destination{
		Server: d.ServerURI, Enrolment: d.EnrollURI, Update: d.UpdateURI, Verifier: d.RAURI, Reset: resets[d.ResetProfile()],
	}
	for _, a := range d.Anchors {
		out.Anchors = append(out.Anchors, web.Anchor{
			Thumbprint: a.Thumbprint.String(), Subject: subjects[a.Thumbprint],
			Purposes: strings.Fields(a.Purposes.String()),
		})
	}
	return out, d.ResetProfile()
}

// warnings tells an approver what is unusual, the worst first.
func warnings(t coordinator.Transfer, partner coordinator.Partner, keeps bool) (out []web.Notice) {
	warn := func(level web.Level, text string) { out = append(out, web.Notice{Level: level, Text: text}) }
	if !partner.Admitted() {
		warn(web.LevelBad, "The partner "+t.PartnerName+" is suspended.")
	}
	out = append(out, asked(t)...)
	out = append(out, revised(t)...)
	if t.Self {
		warn(web.LevelWarning, "The outgoing provider signed the mandate itself; no service user did.")
	}
	if until := t.MandateUntil; !until.IsZero() && until.Before(t.Window.Latest.Time()) {
		warn(web.LevelWarning, "The mandate ends before the window does.")
	}
	if t.Rehearse && !t.Over() {
		warn(web.LevelNeutral, "It is a rehearsal: devices are led to READY and back, and none moves.")
	}
	if keeps {
		warn(web.LevelWarning, "The data of applications stays on the devices.")
	}
	if t.Paused {
		warn(web.LevelWarning, "No further devices are told to commit until somebody resumes.")
	}
	if t.Reason != "" {
		warn(web.LevelNeutral, t.Reason)
	}
	return out
}

func showRow(r coordinator.Row) web.TransferRow {
	out := web.TransferRow{
		Device: string(r.Device), Endpoint: string(r.Endpoint), Factory: r.Short, State: string(r.State),
		Level: rowLevel(r), Inferred: r.Inferred, Next: r.Next(), Reason: r.Reason, Epoch: r.Epoch,
		Bytes: len(r.Message), Verdict: showVerdict(r.Verdict),
		UpdatedAt: r.UpdatedAt, CommittedAt: r.CommittedAt, ActiveAt: r.ActiveAt,
	}
	if d, ok := r.Disruption(); ok {
		seconds := d.Round(time.Millisecond).Seconds()
		out.Disruption = &seconds
	}
	if right, err := transfer.ParseRightStatus(r.Right); err == nil { // verified when it was stored
		out.EnrolledBy, out.EnrolledAt = right.Body.Issuer, right.Body.IssuedAt.Time()
	}
	if out.Device == "" {
		out.Device = r.Short
	}
	return out
}

func rowLevel(r coordinator.Row) web.Level {
	switch r.State {
	case transfer.RowListed:
		return web.LevelNeutral
	case transfer.RowActive, transfer.RowFinalised, transfer.RowRevokedOld:
		return web.LevelGood
	case transfer.RowAborted, transfer.RowExpired, transfer.RowReturned, transfer.RowFellBack, transfer.RowUnknown:
		return web.LevelWarning
	default:
		if r.Failed() {
			return web.LevelBad
		}
		return web.LevelActive
	}
}

// A receiptContent is what people see of a receipt's content.
type receiptContent struct {
	Device      string `json:"device"`
	State       string `json:"state"`
	Epoch       uint64 `json:"epoch"`
	Message     string `json:"message"`
	Destination string `json:"destination"`
	Key         string `json:"spki,omitempty"`
	Truststore  string `json:"truststore"`
	Boots       uint64 `json:"boots"`
	Powered     uint64 `json:"powered_seconds"`
	Error       int64  `json:"error,omitempty"`
	Previous    string `json:"previous,omitempty"`
}

// showReceipt returns a receipt, which was verified before it was stored.
func showReceipt(r coordinator.Receipt) web.Receipt {
	out := web.Receipt{
		State: string(r.State), At: r.At, Hash: hex.EncodeToString(r.Hash[:]), COSE: r.Raw, Verified: true,
	}
	signed, err := transfer.ParseReceipt(r.Raw)
	if err != nil {
		return out // its signed form is there
	}
	b := signed.Body
	c := receiptContent{
		Device: b.Subject, State: string(b.State), Epoch: b.Epoch, Message: b.Message.String(),
		Destination: b.Destination.String(), Truststore: b.Truststore.String(), Boots: b.Boots, Powered: b.Powered,
		Error: b.Error,
	}
	if !b.SPKI.IsZero() {
		c.Key = b.SPKI.String()
	}
	if !b.Previous.IsZero() {
		c.Previous = b.Previous.String()
	}
	if raw, err := json.Marshal(c); err == nil {
		out.Content = raw
	}
	return out
}
