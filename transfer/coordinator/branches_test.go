package coordinator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// branches are the failure branches of the transfer protocol, §7, by the words of their
// triggers, and the tests that cover each.
var branches = []struct {
	trigger string
	tests   string
}{
	{"offer expires before approval; info revised", "TestOfferExpires TestApprovedOfferHolds TestRevision"},
	{"Create anchor answered late", "TestLostAnswers TestPlanTruststore TestT25EveryFaultAtEveryStep"},
	{"last update bricks or rolls back", "TestLastUpdate TestLastUpdateFails TestAccept TestUpdateFirstIsRolledBack"},
	{"Write or READY notify lost", "TestLostAnswers TestAcceptOnce"},
	{"Abort, CANCELLED, EXPIRED", "TestWithdraw TestDeviceEndsReady TestUnknownAfterTheWindow"},
	{
		"K_op expires, reboot, factory reset in READY",
		"TestReadyIsSurvived TestFactoryResetInReady TestT7ResetAndReplay TestT17PowerCut",
	},
	{"RA rejects", "TestAttestation TestT14"},
	{"verdict late or lost", "TestRightWaitsForTheVerdict"},
	{"RA, update server, CA2 unreachable", "TestFallback TestHalfOfTheGrace"},
	{"update-first image fails or lacks object 42771", "TestUpdateFirstFails TestUpdateFirstIsRolledBack"},
	{"CA2 unauthenticated", "TestT2RogueServers"},
	{"CA2 grants, answer lost", "TestSameRequestSameAnswer TestT25EveryFaultAtEveryStep"},
	{"registration refused, SP2 DM down", "TestRegistrationRefused TestFallback TestDeviceIsRefused"},
	{"fallback dead too", "TestSilentWave TestT26OffInEachState TestExplore"},
	{"`latest` passes before commit", "TestExtension TestTransferAgain"},
	{"`latest` passes after commit", "TestLatestAfterCommit"},
	{"SP2 withdraws", "TestWithdraw TestDeviceReturns"},
	{"Finalise or its answer lost", "TestLostAnswers"},
	{"Complete lost", "TestLostAnswers TestRightOfTheOtherCA"},
	{"SP1→CA1 revocation fails", "TestRevocationFails"},
	{"FELL_BACK not told to SP2", "TestLostOnTheWayBack"},
	{"many fall back at once", "TestPause TestRetryDelay"},
	{"permanent CA unreachable at 10", "TestPermanentCAUnreachable TestFactoryCRL"},
	{"asleep (queue mode)", "TestSleepingDevice TestExtension TestAttestationOfEveryKind"},
	{"no clock", "TestAccept TestExplore TestT10Window TestAttestationOfEveryKind"},
	{"partial batch", "TestWaves TestSilentWave TestPause"},
	{"crash, power cut anywhere", "TestCrashAnywhere TestCrashOnTheWayBack TestT17PowerCutAtEveryWrite"},
	{"transfer signer stolen", "TestSignerStolen TestSuspended TestOwnerRecovers"},
}

// TestFailureBranches holds that each branch has its tests.
func TestFailureBranches(t *testing.T) {
	const branchesOfTheText = 28
	if len(branches) != branchesOfTheText {
		t.Errorf("%d branches, the text has %d", len(branches), branchesOfTheText)
	}
	var all strings.Builder
	for _, dir := range []string{"../..", "..", "."} {
		for _, pattern := range []string{
			"*_test.go", "est/*_test.go", "est/*/*_test.go", "cmd/internal/*/*_test.go", "explore/*_test.go",
		} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			check(t, err)
			for _, file := range files {
				text, err := os.ReadFile(file)
				check(t, err)
				all.Write(text)
			}
		}
	}
	for _, b := range branches {
		for name := range strings.FieldsSeq(b.tests) {
			if !strings.Contains(all.String(), "func "+name+"(t *testing.T)") {
				t.Errorf("%s: there is no %s", b.trigger, name)
			}
		}
	}
}

// TestHalfOfTheGrace: CA2 is unreachable. When half of the grace is over both sides say
// so; the devices fall back when all of it is.
func TestHalfOfTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.beta.closed = true
		w.start(t)
		id := w.handOver(t)
		until(t, 10*time.Minute, "committed", func() bool { return w.alpha.states(t, id)[transfer.RowCommitted] == 1 })
		told := func(p *provider) bool {
			rows, err := p.store.ListRows(t.Context(), id, "", 10)
			check(t, err)
			return strings.Contains(rows[0].Reason, "half of its grace")
		}
		time.Sleep(testGrace/2 - 5*time.Second)
		if told(w.alpha) || told(w.beta) {
			t.Error("told before half of the grace was over")
		}
		time.Sleep(25 * time.Second)
		if !told(w.alpha) || !told(w.beta) {
			t.Errorf("told by Alpha %t, by Beta %t", told(w.alpha), told(w.beta))
		}
		time.Sleep(30 * time.Minute)
		w.fellBack(t, id)
	})
}

// TestLatestAfterCommit: the window passes while a device that committed in it is off. It
// goes on: the window bounds the commit, the grace the completion.
func TestLatestAfterCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(time.Hour - 30*time.Second)
		w.devices[0].offIn = transfer.Committed // for three times its grace
		w.start(t)
		id := w.handOver(t)
		until(t, 2*time.Hour, "committed", func() bool { return w.alpha.states(t, id)[transfer.RowCommitted] == 1 })
		time.Sleep(time.Minute)
		if end := window(t, w.alpha, id).Latest.Time(); !time.Now().After(end) {
			t.Fatalf("the window ends %s", end)
		}
		if n := w.alpha.states(t, id); n[transfer.RowCommitted] != 1 {
			t.Errorf("after the window the row is %v", n)
		}
		time.Sleep(30 * time.Minute)
		s, at := w.devices[0].state()
		if s.State != transfer.Finalised && s.State != transfer.FellBack || at == nil {
			t.Errorf("the device is %s", s.State)
		}
	})
}

// A brokenCA cannot delete rights some times.
type brokenCA struct {
	*est.CA

	times *atomic.Int32
}

var errBroken = errors.New("the database is locked")

func (c brokenCA) DeleteRight(ctx context.Context, factory est.Hash, reason est.Reason) (est.Right, error) {
	if c.times.Add(-1) >= 0 {
		return est.Right{}, errBroken
	}
	return c.CA.DeleteRight(ctx, factory, reason)
}

// TestRevocationFails: CA1 cannot revoke for a while. It is tried again until it can, and
// the row is not REVOKED_OLD before.
func TestRevocationFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		times := &atomic.Int32{}
		times.Store(5)
		w.alpha.change = func(o *coordinator.Options) { o.CA = brokenCA{w.alpha.ca, times} }
		w.alpha.open(t)
		w.start(t)
		id := w.handOver(t)
		until(t, 10*time.Minute, "finalised", func() bool { return w.alpha.states(t, id)[transfer.RowFinalised] == 1 })
		until(t, 10*time.Minute, "revoked", func() bool { return w.alpha.states(t, id)[transfer.RowRevokedOld] == 1 })
		if times.Load() >= 0 {
			t.Error("nothing failed")
		}
		time.Sleep(time.Minute)
		w.moved(t, id)
	})
}
