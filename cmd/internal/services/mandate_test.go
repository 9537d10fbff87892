package services_test

import (
	"context"

	"steward/transfer"
	"steward/transfer/coordinator"
)

func (*coordinatorFake) RequestMandate(context.Context, string) (transfer.MandateRequest, error) {
	return transfer.MandateRequest{}, coordinator.ErrState
}

func (f *coordinatorFake) GiveMandate(ctx context.Context, id, actor string, _ []byte) (coordinator.Transfer, error) {
	return f.command(ctx, id, "mandate "+actor)
}
