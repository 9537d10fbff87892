package coordtest_test

import (
	"context"
	"testing"

	"steward/lwm2m/audit"
	"steward/transfer/coordinator/coordtest"
)

func TestStore(t *testing.T) {
	coordtest.TestStore(t, func(*testing.T) coordtest.Backend {
		s := &coordtest.Store{}
		return coordtest.Backend{Store: s, Audit: func(context.Context) ([]audit.Row, error) { return s.Rows(), nil }}
	})
}
