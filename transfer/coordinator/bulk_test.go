package coordinator_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"runtime"
	"testing"
	"time"

	"steward/est/esttest"
	"steward/objects"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestTenThousandInOneCall: one call tells of ten thousand devices, one answer speaks of
// each, and what that costs in memory is bounded by the number of devices.
func TestTenThousandInOneCall(t *testing.T) {
	const devices, perDevice = 10_000, 64 << 10 // bytes allocated for one, most of them for its chain
	w := newWorld(t, 0)
	key := esttest.Key(t)
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bulk factory"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	check(t, err)
	check(t, w.beta.ca.TrustFactoryCA(t.Context(), der))
	window := transfer.NewWindow(now, now.Add(time.Hour))
	id := []byte("0123456789abcdef")
	m := transfer.Mandate{
		Issuer: "Alpha", Expires: window.Latest, IssuedAt: transfer.SecondsOf(now), ID: id,
		MandateTerms: transfer.MandateTerms{From: "Alpha", To: "Beta", Window: window},
	}
	ids := transfer.ObjectIDs{
		Truststore: objects.DefaultIDs.Truststore, Enrolment: objects.DefaultIDs.Enrolment,
		Transfer: objects.DefaultIDs.Transfer,
	}
	info := transfer.Info{Issuer: "Alpha", Audience: "Beta", IssuedAt: transfer.SecondsOf(now), ID: id}
	for n := range devices {
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(int64(n) + 2), Subject: pkix.Name{CommonName: fmt.Sprintf("bulk-%05d", n)},
			NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		}, root, key.Public(), key)
		check(t, err)
		m.Devices.Factory = append(m.Devices.Factory, transfer.HashOf(leaf))
		info.Devices = append(info.Devices, transfer.DevicePair{
			Factory: transfer.FactoryCert{X5Chain: leaf}, Switch: transfer.SwitchInfo{Window: window, Objects: ids},
		})
	}
	mandate, err := m.Sign(w.alpha.signer)
	check(t, err)
	signed, err := transfer.ParseMandate(mandate)
	check(t, err)
	info.Mandate = signed.Hash
	raw, err := info.Sign(w.alpha.signer)
	check(t, err)
	body, err := json.Marshal(coordinator.Submission{Info: string(raw), Mandate: mandate})
	check(t, err)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	reply, err := w.beta.c.Receive(t.Context(), w.beta.partner(t, w.alpha), coordinator.Call{
		Action: coordinator.ActionInfo, Key: "k", Body: body,
	})
	runtime.ReadMemStats(&after)
	check(t, err)
	answer, err := transfer.ParseAnswer(reply.Body)
	check(t, err)
	accepted := 0
	for _, d := range answer.Devices {
		if d.Reason == "" {
			accepted++
		}
	}
	if accepted != devices {
		t.Errorf("%d of %d devices are accepted, the first: %q", accepted, devices, answer.Devices[0].Reason)
	}
	if n := w.beta.states(t, fmt.Sprintf("%x", id))[transfer.RowListed]; n != devices {
		t.Errorf("%d devices are stored", n)
	}
	cost := (after.TotalAlloc - before.TotalAlloc) / devices
	t.Logf("a call of %d bytes, an answer of %d; %d bytes allocated for each device", len(body), len(reply.Body), cost)
	if cost > perDevice {
		t.Errorf("%d bytes allocated for each device, at most %d may be", cost, perDevice)
	}
}
