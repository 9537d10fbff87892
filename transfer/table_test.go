package transfer_test

import (
	"flag"
	"strings"
	"testing"

	"steward/lwm2m/machine"
	"steward/lwm2m/machine/machinetest"
	"steward/transfer"
)

var update = flag.Bool("update", false, "rewrite golden files")

// effects checks that each row's effects are named and unique.
func effects[S, E, D ~string](t *testing.T, table machine.Table[S, E, D]) {
	t.Helper()
	for _, r := range table {
		seen := map[D]bool{}
		for _, d := range r.Do {
			if d == "" || seen[d] {
				t.Errorf("%s on %s: effect %q", r.From, r.On, d)
			}
			seen[d] = true
		}
	}
}

func TestBatchTable(t *testing.T) {
	table := transfer.BatchTable()
	check(t, table.Check(transfer.BatchDraft, transfer.BatchFinal()...))
	effects(t, table)
	machinetest.Golden(t, "testdata/batch.mmd", table.Mermaid(transfer.BatchDraft), *update)
	for _, s := range []transfer.BatchState{transfer.BatchSwitching, transfer.BatchPartial, transfer.BatchComplete} {
		if _, err := table.Step(s, transfer.BatchCancel); err == nil {
			t.Errorf("a transfer in %s can be cancelled", s)
		}
	}
}

func TestRowTables(t *testing.T) {
	for name, table := range map[string]transfer.RowTable{
		"outgoing": transfer.OutgoingTable(), "incoming": transfer.IncomingTable(),
	} {
		t.Run(name, func(t *testing.T) {
			if err := table.Check(transfer.RowListed, transfer.RowFinalStates()...); err != nil {
				t.Error(err)
			}
			effects(t, table)
			machinetest.Golden(t, "testdata/"+name+".mmd", table.Mermaid(transfer.RowListed), *update)
		})
	}
}

// TestRowsCloseOnEvidence is rule 7 of §1: after COMMITTED no row of the outgoing
// provider ends but by a FINALISED or a FELL_BACK receipt, and UNKNOWN is left
// only for READY, COMMITTED or FELL_BACK.
func TestRowsCloseOnEvidence(t *testing.T) {
	before := map[transfer.RowState]bool{
		transfer.RowListed: true, transfer.RowStaged: true, transfer.RowDelivered: true, transfer.RowReady: true,
	}
	for _, r := range transfer.OutgoingTable() {
		switch r.To {
		case transfer.RowAborted, transfer.RowExpired, transfer.RowRejected:
			if !before[r.From] {
				t.Errorf("%s → %s after COMMITTED", r.From, r.To)
			}
		case transfer.RowFinalised:
			if r.On != transfer.RowFinal {
				t.Errorf("%s → FINALISED on %s", r.From, r.On)
			}
		case transfer.RowFellBack:
			if r.On != transfer.RowFellBackEvent {
				t.Errorf("%s → FELL_BACK on %s", r.From, r.On)
			}
		default:
		}
		allowed := map[transfer.RowState]bool{
			transfer.RowReady: true, transfer.RowCommitted: true, transfer.RowFellBack: true, transfer.RowUnknown: true,
		}
		if r.From == transfer.RowUnknown && !allowed[r.To] {
			t.Errorf("UNKNOWN → %s", r.To)
		}
	}
}

// TestRightOpensAfterReady: no effect opens a right before the READY receipt was
// compared and the device has committed, and none at both CAs on one event.
func TestRightOpensAfterReady(t *testing.T) {
	for _, r := range transfer.IncomingTable() {
		for _, e := range r.Do {
			if e == transfer.RowOpenRight && (r.On != transfer.RowPass || r.From == transfer.RowReady) {
				t.Errorf("%s on %s opens the right", r.From, r.On)
			}
		}
	}
	for _, r := range transfer.OutgoingTable() {
		for _, e := range r.Do {
			if e == transfer.RowReopenRight && r.On != transfer.RowFallback {
				t.Errorf("%s on %s reopens the right", r.From, r.On)
			}
			if e == transfer.RowRevokeOld && r.On != transfer.RowFinal {
				t.Errorf("%s on %s revokes", r.From, r.On)
			}
		}
	}
}

func TestDeviceTable(t *testing.T) {
	table := transfer.DeviceTable()
	check(t, table.Check(transfer.Idle))
	effects(t, table)
	machinetest.Golden(t, "testdata/device.mmd", table.Mermaid(transfer.Idle), *update)
	for n, s := range transfer.DeviceStates() {
		if got := int(s.Number()); got != n {
			t.Errorf("%s has number %d, want %d", s, got, n)
		}
	}
	if _, err := transfer.DeviceStateOf(13); err == nil {
		t.Error("state 13 exists")
	}
}

// TestWipeOrder is the order of §5: the fallback record before all, the anchors
// last, and the receipt while the key that signs it exists.
func TestWipeOrder(t *testing.T) {
	row := must(transfer.DeviceTable().Step(transfer.Ready, transfer.OnCommit))(t)
	var names []string
	for _, e := range row.Do {
		names = append(names, string(e))
	}
	want := "sign receipt, notify, de-register, keep fallback record, wipe keys, wipe transport, wipe application, " +
		"wipe anchors, reboot"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("steps of commit = %s\nwant %s", got, want)
	}
}
