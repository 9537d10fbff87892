package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"steward/cmd/internal/sim"
	"steward/transfer"
)

// measure takes the device's counters.
func (x *examiner) measure(s *sim.Snapshot) {
	for _, m := range []struct{ name, host, phase string }{
		{"handshake", hostBeta, "handshake_enrolment"},
		{"enrolment", hostBeta, "enrolment"},
		{"transfer", hostAlpha, "transfer_message"},
		{"anchors", hostAlpha, "anchors"},
		{"receipts", "", "receipt"},
		{"crts", hostBeta, "crts"},
		{"register", hostBeta, "registration"},
		{"renewal", hostBeta, "renewal"},
	} {
		var f figures
		for _, c := range s.Counts {
			of := c.Phase == m.phase || m.phase == "renewal" && c.Phase == "handshake_renewal"
			if of && strings.HasPrefix(c.Host, m.host) {
				f.bytes += int(c.Bytes())                               //nolint:gosec // G115: a demonstration's traffic
				f.datagrams += int(c.SentMessages + c.ReceivedMessages) //nolint:gosec // G115: likewise
			}
		}
		x.phases[m.name] = append(x.phases[m.name], f)
	}
}

// summarise makes medians of what was measured.
func (x *examiner) summarise() {
	slices.Sort(x.messages)
	if n := len(x.messages); n > 0 {
		x.report.TransferMessageBytes = x.messages[n/2]
	}
	slices.Sort(x.disruption)
	if n := len(x.disruption); n > 0 {
		x.report.DisruptionMedian = x.disruption[n/2].Seconds()
		x.report.DisruptionMax = x.disruption[n-1].Seconds()
	}
	x.phases["enrolment"] = shortest(x.phases["enrolment"])
	for name, to := range map[string][2]*int{
		"handshake": {&x.report.DeviceBytes.Handshake, &x.report.DeviceMessages.Handshake},
		"enrolment": {&x.report.DeviceBytes.Enrolment, &x.report.DeviceMessages.Enrolment},
		"transfer":  {&x.report.DeviceBytes.Transfer, &x.report.DeviceMessages.Transfer},
		"anchors":   {&x.report.DeviceBytes.Anchors, &x.report.DeviceMessages.Anchors},
		"receipts":  {&x.report.DeviceBytes.Receipts, &x.report.DeviceMessages.Receipts},
		"crts":      {&x.report.DeviceBytes.Crts, &x.report.DeviceMessages.Crts},
		"register":  {&x.report.DeviceBytes.Register, &x.report.DeviceMessages.Register},
		"renewal":   {&x.report.DeviceBytes.Renewal, &x.report.DeviceMessages.Renewal},
	} {
		*to[0] = median(x.phases[name], func(f figures) int { return f.bytes })
		*to[1] = median(x.phases[name], func(f figures) int { return f.datagrams })
	}
}

// shortest returns the figures with the fewest datagrams: of devices that asked once,
// where others came before their right was open and asked again. The reference is that of
// one exchange.
func shortest(list []figures) []figures {
	if len(list) == 0 {
		return nil
	}
	least := slices.MinFunc(list, func(a, b figures) int { return a.datagrams - b.datagrams })
	return slices.DeleteFunc(list, func(f figures) bool { return f.datagrams > max(least.datagrams, 1) })
}

func median(list []figures, of func(figures) int) int {
	numbers := make([]int, 0, len(list))
	for _, f := range list {
		numbers = append(numbers, of(f))
	}
	slices.Sort(numbers)
	if len(numbers) == 0 {
		return 0
	}
	return numbers[len(numbers)/2]
}

// records has both providers account for the hand-over, as to an auditor.
func (x *examiner) records(ctx context.Context) error {
	for _, p := range []*provider{x.d.alpha, x.d.beta} {
		raw, err := p.api.Fetch(ctx, "/transfers/"+x.d.session+"/record")
		if err != nil {
			return err
		}
		found, err := transfer.CheckRecord(raw, nil)
		if err != nil {
			return fmt.Errorf("record of %s: %w", p.name, err)
		}
		for _, s := range found.Statements {
			if !s.Proved {
				x.report.Problems = append(x.report.Problems,
					fmt.Sprintf("record of %s: %s %s: %s", p.name, s.Device, s.What, s.Why))
			}
		}
	}
	return nil
}
