package enroltest_test

import (
	"fmt"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/enrol/enroltest"
	"steward/lwm2m/fleet"
)

func TestMemory(t *testing.T) {
	enroltest.TestStore(t, func(*testing.T) enroltest.World {
		s := &enroltest.Store{}
		n, c := 0, byte(0)
		return enroltest.World{
			Store:  s,
			Device: func(*testing.T) fleet.ID { n++; return fleet.ID(fmt.Sprintf("d%03d", n)) },
			Issue: func(_ *testing.T, device fleet.ID, issued, ends time.Time, renews bool) est.Hash {
				c++
				i := enrol.Issuance{Device: device, Certificate: est.Hash{c}, IssuedAt: issued, NotAfter: ends, Renews: renews}
				s.Issue(i)
				return i.Certificate
			},
			Audit: func(*testing.T) (out []string) {
				for _, r := range s.Rows() {
					out = append(out, r.Action)
				}
				return out
			},
		}
	})
}
