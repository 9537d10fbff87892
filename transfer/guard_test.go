package transfer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/machine/machinetest"
	"steward/transfer"
)

// TestGuardTable writes §3 down a second time, in another form, and compares the
// two for every state, party, operation and place.
func TestGuardTable(t *testing.T) {
	parties := []transfer.Party{
		transfer.CurrentDM, transfer.NewDM, transfer.FallbackDM, transfer.CurrentBoot, transfer.AnyoneElse,
	}
	operations := []transfer.Operation{
		transfer.OpRead, transfer.OpWrite, transfer.OpCreate, transfer.OpDelete, transfer.OpExecute,
		transfer.OpRegister, transfer.OpEnrol,
	}
	places := []transfer.Place{
		transfer.AtTruststore, transfer.AtEnrolment, transfer.AtMessage, transfer.AtMandate, transfer.AtCommit,
		transfer.AtAbort, transfer.AtFinalise, transfer.AtReturn, transfer.AtTransfer, transfer.AtFirmware,
		transfer.AtElsewhere,
	}
	for _, s := range transfer.DeviceStates() {
		for _, p := range parties {
			for _, o := range operations {
				for _, at := range places {
					if got, want := transfer.Permitted(s, p, o, at), section3(s, p, o, at); got != want {
						t.Errorf("Permitted(%s, %s, %s, %s) = %t, want %t", s, p, o, at, got, want)
					}
				}
			}
		}
	}
}

func section3(s transfer.DeviceState, p transfer.Party, o transfer.Operation, at transfer.Place) bool {
	passive := o == transfer.OpRead || o == transfer.OpRegister || o == transfer.OpEnrol
	change := o == transfer.OpWrite || o == transfer.OpCreate || o == transfer.OpDelete
	open := at == transfer.AtFirmware || at == transfer.AtElsewhere
	switch {
	case s.AtRest() && p == transfer.CurrentDM:
		return passive || open ||
			change && (at == transfer.AtTruststore || at == transfer.AtEnrolment) ||
			o == transfer.OpExecute && at == transfer.AtEnrolment ||
			o == transfer.OpWrite && (at == transfer.AtMessage || at == transfer.AtMandate) ||
			o == transfer.OpExecute && at == transfer.AtFinalise && s == transfer.Finalised ||
			o == transfer.OpExecute && at == transfer.AtAbort && s == transfer.Expired
	case s.AtRest() && p == transfer.CurrentBoot:
		return (change || o == transfer.OpRead) &&
			(at == transfer.AtTruststore || at == transfer.AtEnrolment || at == transfer.AtElsewhere)
	case s == transfer.Ready && p == transfer.CurrentDM:
		return passive || at == transfer.AtElsewhere ||
			o == transfer.OpExecute && (at == transfer.AtCommit || at == transfer.AtAbort) ||
			o == transfer.OpWrite && at == transfer.AtMessage
	case s == transfer.Done && p == transfer.NewDM:
		return o == transfer.OpRead ||
			o == transfer.OpExecute && (at == transfer.AtFinalise || at == transfer.AtReturn)
	case s == transfer.InFall && p == transfer.FallbackDM:
		return passive
	}
	return false
}

// TestT12NobodyFromCommittedToRegister is the empty row of §3. It is of row T12 of the transfer protocol (§9).
func TestT12NobodyFromCommittedToRegister(t *testing.T) {
	for _, r := range transfer.GuardTable() {
		for _, s := range []transfer.DeviceState{
			transfer.Committed, transfer.Wiped, transfer.Attest, transfer.Updating, transfer.Enrolling, transfer.Register,
		} {
			if slices.Contains(r.In, s) {
				t.Errorf("%s may %v in %s", r.Party, r.Do, s)
			}
		}
	}
}

func TestGuardTableGolden(t *testing.T) {
	var b strings.Builder
	for _, r := range transfer.GuardTable() {
		fmt.Fprintf(&b, "%v | %s | %v | %v\n", r.In, r.Party, r.Do, r.At)
	}
	machinetest.Golden(t, "testdata/guard.txt", b.String(), *update)
}

func TestPlaceOf(t *testing.T) {
	ids := transfer.ObjectIDs{Truststore: 42769, Enrolment: 42770, Transfer: 42771}
	tests := []struct {
		path lwm2m.Path
		want transfer.Place
	}{
		{lwm2m.NewPath(), transfer.AtElsewhere},
		{lwm2m.NewPath(3, 0, 0), transfer.AtElsewhere},
		{lwm2m.NewPath(5, 0, 1), transfer.AtFirmware},
		{lwm2m.NewPath(42769, 7), transfer.AtTruststore},
		{lwm2m.NewPath(42770, 0, 2), transfer.AtEnrolment},
		{lwm2m.NewPath(42771), transfer.AtTransfer},
		{lwm2m.NewPath(42771, 0), transfer.AtTransfer},
		{lwm2m.NewPath(42771, 0, 0), transfer.AtMessage},
		{lwm2m.NewPath(42771, 0, 1), transfer.AtCommit},
		{lwm2m.NewPath(42771, 0, 2), transfer.AtAbort},
		{lwm2m.NewPath(42771, 0, 3), transfer.AtTransfer},
		{lwm2m.NewPath(42771, 0, 11), transfer.AtFinalise},
		{lwm2m.NewPath(42771, 0, 12), transfer.AtReturn},
		{lwm2m.NewPath(42771, 0, 13), transfer.AtMandate},
	}
	for _, tt := range tests {
		if got := transfer.PlaceOf(tt.path, ids); got != tt.want {
			t.Errorf("PlaceOf(%v) = %q, want %q", tt.path, got, tt.want)
		}
	}
}
