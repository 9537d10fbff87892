package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steward/transfer"
)

// submit signs the DeviceUpdateInfo of a drafted transfer, and the mandate if
// there is none of a service user.
func (c *Coordinator) submit(ctx context.Context, t *Transfer, ch *Change) error {
	now := time.Now()
	var rows []Row
	err := c.eachRow(ctx, t.ID, func(r Row) error { rows = append(rows, r); return nil })
	if err != nil {
		return err
	}
	docs, err := c.o.Store.Documents(ctx, t.ID)
	if err != nil {
		return err
	}
	if docs.Mandate == nil {
		if ch.Documents.Mandate, err = c.selfMandate(t, rows, now); err != nil {
			return err
		}
	} else if err = c.stillMandated(ctx, docs.Mandate, rows); err != nil {
		return err
	}
	info, err := c.describeAll(ctx, t, ch, docs, rows)
	if err != nil {
		return err
	}
	sign := info.Sign
	if c.o.InfoCOSE {
		sign = info.SignCOSE
	}
	if ch.Documents.Info, err = sign(c.o.Signer); err != nil {
		return err
	}
	signed, err := transfer.ParseInfo(ch.Documents.Info)
	if err != nil {
		return err
	}
	t.Info = signed.Hash
	return nil
}

// describeAll makes the DeviceUpdateInfo, and gives the rows that change what it says.
func (c *Coordinator) describeAll(ctx context.Context, t *Transfer, ch *Change, docs Documents, rows []Row) (
	transfer.Info, error,
) {
	info := transfer.Info{
		Issuer: c.o.Name, Audience: t.PartnerName, IssuedAt: transfer.SecondsOf(time.Now()), ID: t.Key(), Mandate: t.Mandate,
	}
	if before, err := transfer.ParseInfo(docs.Info); err == nil {
		info.IssuedAt = max(info.IssuedAt, before.Body.IssuedAt+1)
	}
	for i := range rows {
		pair, err := c.describe(ctx, *t, rows[i])
		if err != nil {
			return info, err
		}
		raw, err := transfer.EncodeDevices([]transfer.DevicePair{pair})
		if err != nil {
			return info, err
		}
		if !bytes.Equal(raw, rows[i].Pair) {
			rows[i].Pair = raw
			ch.Rows = append(ch.Rows, rows[i])
		}
		info.Devices = append(info.Devices, pair)
	}
	return info, nil
}

// selfMandate signs a mandate for exactly these devices with our own key.
func (c *Coordinator) selfMandate(t *Transfer, rows []Row, now time.Time) ([]byte, error) {
	m := transfer.Mandate{
		Issuer: c.o.Name, Expires: t.Window.Latest, IssuedAt: transfer.SecondsOf(now), ID: t.Key(),
		MandateTerms: transfer.MandateTerms{From: c.o.Name, To: t.PartnerName, Window: t.Window},
	}
	if t.Attest {
		demanded := true
		m.Attestation = &demanded
	}
	for _, r := range rows {
		m.Devices.Factory = append(m.Devices.Factory, transfer.Hash(r.Factory))
	}
	raw, err := m.Sign(c.o.Signer)
	if err != nil {
		return nil, err
	}
	signed, err := transfer.ParseMandate(raw)
	if err != nil {
		return nil, err
	}
	t.adopt(signed, true)
	return raw, nil
}

// adopt notes what a verified mandate says.
func (t *Transfer) adopt(m *transfer.Signed[transfer.Mandate], self bool) {
	t.Mandate, t.MandateIssuer, t.Self = m.Hash, m.Body.Issuer, self
	t.MandateUntil = m.Body.Expires.Time()
	t.Attest = t.Attest || m.Body.NeedsAttestation()
}

// describe says of a device what the partner needs to know.
func (c *Coordinator) describe(ctx context.Context, t Transfer, r Row) (transfer.DevicePair, error) {
	right, err := c.o.CA.Right(ctx, r.factoryHash())
	if err != nil {
		return transfer.DevicePair{}, fmt.Errorf("device %s: %w", r.Endpoint, err)
	}
	manifests, err := c.o.Manifests(ctx, r.Device)
	if err != nil {
		return transfer.DevicePair{}, fmt.Errorf("device %s: %w", r.Endpoint, err)
	}
	var ra *transfer.RAInfo
	if c.o.Attesters != nil {
		if ra, err = c.o.Attesters.Describe(ctx, r.Device, r.Factory); err != nil {
			return transfer.DevicePair{}, fmt.Errorf("device %s: %w", r.Endpoint, err)
		}
	}
	if t.Verifier != "" {
		if ra == nil {
			return transfer.DevicePair{}, refusedf(ErrState, "the attestation key of %s is not known", r.Endpoint)
		}
		if ra.Verifier, err = c.verifierURI(ctx, t.Verifier); err != nil {
			return transfer.DevicePair{}, err
		}
	}
	return transfer.DevicePair{
		Factory: transfer.FactoryCert{X5Chain: right.FactoryDER},
		Switch: transfer.SwitchInfo{Window: t.Window, Manifests: manifests, RA: ra, Objects: transfer.ObjectIDs{
			Truststore: c.o.Objects.Truststore, Enrolment: c.o.Objects.Enrolment, Transfer: c.o.Objects.Transfer,
		}},
	}, nil
}

// postInfo posts the info. The answer says which devices the partner accepts.
func (c *Coordinator) postInfo(ctx context.Context, t *Transfer, ch *Change) error {
	docs, err := c.o.Store.Documents(ctx, t.ID)
	if err != nil {
		return err
	}
	partner, err := c.o.Store.Partner(ctx, t.Partner)
	if err != nil {
		return err
	}
	if !partner.Admitted() {
		return refusedf(ErrForbidden, "partner %s is %s", partner.Name, partner.State)
	}
	body, err := json.Marshal(submission(docs))
	if err != nil {
		return err
	}
	call := Call{Action: ActionInfo, Body: body}
	call.Key = keyOf(call)
	raw, err := c.o.Peers.Post(ctx, partner, call)
	if errors.Is(err, ErrDeclined) {
		t.Reason = err.Error()
		return t.apply(transfer.BatchRefuse, time.Now())
	}
	if err != nil {
		return err
	}
	return c.takeAnswer(ctx, t, ch, docs.Info, raw)
}

// takeAnswer takes the partner's answer to the info.
func (c *Coordinator) takeAnswer(ctx context.Context, t *Transfer, ch *Change, rawInfo, raw []byte) error {
	answer, err := transfer.ParseAnswer(raw)
	if err != nil {
		return err
	}
	info, err := transfer.ParseInfo(rawInfo)
	if err != nil {
		return err
	}
	accepted, err := answer.Accepted(info)
	if err != nil {
		return err
	}
	reasons := map[string]transfer.Reason{}
	for _, d := range answer.Devices {
		reasons[d.Device.String()] = d.Reason
	}
	now := time.Now()
	err = c.eachRow(ctx, t.ID, func(r Row) error {
		reason := reasons[r.Short]
		if reason == "" || r.Ended() {
			return nil
		}
		before := r
		if err := r.refuse(string(reason), now); err != nil {
			return err
		}
		ch.Rows = append(ch.Rows, r)
		ch.Audit = append(ch.Audit, audited(before, r, "peer:"+t.PartnerName)...)
		return nil
	})
	if err != nil {
		return err
	}
	ch.Documents.Answer, t.Reason = raw, ""
	if len(accepted) == 0 && t.State != transfer.BatchStaging {
		t.Reason = "the partner accepts no device"
		return t.apply(transfer.BatchRefuse, now)
	}
	return t.apply(transfer.BatchAnswer, now)
}
