package services

import (
	"context"

	"steward/web"
)

// handOverOff stands before the transfers and partners of a provider that was
// given no ids for the three objects: what there is can be seen, nothing begins.
type handOverOff struct {
	web.Transfers
	web.Partners
}

// HandOverOff returns the services for transfers and partners of a provider
// whose hand-over is off. Their commands answer web.ErrConflict and say what to do.
func HandOverOff(of web.Services) (web.Transfers, web.Partners) {
	off := handOverOff{of.Transfers, of.Partners}
	return off, off
}

func errOff() error {
	return conflict("hand-over is off: choose ids for the three objects in the settings file (objects.truststore, " +
		".enrolment, .transfer), the same as your devices have, or start with --allow-test-range")
}

// Draft implements web.Transfers.
func (handOverOff) Draft(context.Context, web.Actor, web.NewTransfer) (web.Transfer, error) {
	return web.Transfer{}, errOff()
}

// Command implements web.Transfers.
func (handOverOff) Command(context.Context, web.Actor, string, web.TransferCommand) (web.Transfer, error) {
	return web.Transfer{}, errOff()
}

// AddPartner implements web.Partners.
func (handOverOff) AddPartner(context.Context, web.Actor, web.NewPartner) (web.Partner, error) {
	return web.Partner{}, errOff()
}
