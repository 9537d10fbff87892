package esttest_test

import (
	"context"
	"testing"

	"steward/est/esttest"
	"steward/lwm2m/audit"
)

func TestMemory(t *testing.T) {
	esttest.TestStore(t, func(*testing.T) esttest.Backend {
		s := &esttest.Store{}
		return esttest.Backend{Store: s, Requests: s, Audit: func(context.Context) ([]audit.Row, error) {
			return s.Audit(), nil
		}}
	})
}
