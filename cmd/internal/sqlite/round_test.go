package sqlite

import (
	"errors"
	"testing"
	"time"

	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/est/attest/rounds/roundstest"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// putProvable adds a device whose attestation key is known.
func putProvable(t *testing.T, db *DB, id fleet.ID, tags ...string) fleet.Device {
	t.Helper()
	d := fleet.Device{
		ID: id, Ownership: fleet.Owned, Endpoint: lwm2m.Endpoint("urn:dev:" + string(id)), Tags: tags, CreatedAt: time.Now(),
	}
	copy(d.Factory[:], "factory "+string(id))
	if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
		t.Fatal(err)
	}
	a := attest.Attester{Device: attest.Hash(d.Factory), Key: &esttest.Key(t).PublicKey, At: time.Now()}
	row := audit.Row{Actor: "test", Action: "attestation.key"}
	if err := db.Attestations().PutAttester(t.Context(), a, row); err != nil {
		t.Fatal(err)
	}
	return d
}

func setRule(t *testing.T, db *DB, tag string, every time.Duration) {
	t.Helper()
	if err := db.Rounds().SetRule(t.Context(), RoundRule{Tag: tag, Every: every}, "test"); err != nil {
		t.Fatal(err)
	}
}

func TestRounds(t *testing.T) {
	db := open(t)
	roundstest.TestStore(t, roundstest.World{
		Store: db.Rounds(),
		Device: func(t *testing.T, id fleet.ID, every time.Duration) {
			t.Helper()
			tag := every.String()
			putProvable(t, db, id, tag)
			setRule(t, db, tag, every)
		},
	})
}

// TestRoundRules: the shortest of the tags' rules, that without a tag for all others,
// never for those without a key or of another provider.
func TestRoundRules(t *testing.T) {
	db := open(t)
	plain := putProvable(t, db, "plain", "other")
	putProvable(t, db, "one", "day")
	putProvable(t, db, "two", "day", "hour")
	putProvable(t, db, "off", "hour", "off")
	keyless := fleet.Device{ID: "keyless", Ownership: fleet.Owned, Endpoint: "urn:dev:keyless", CreatedAt: time.Now()}
	if err := db.Devices().Put(t.Context(), keyless, "test", ""); err != nil {
		t.Fatal(err)
	}
	want := func(id fleet.ID, every time.Duration) {
		t.Helper()
		if r, err := db.Rounds().Round(t.Context(), id); err != nil || r.Wanted != every {
			t.Errorf("%s is asked every %v, %v; want %v", id, r.Wanted, err, every)
		}
	}
	want("plain", 0)
	setRule(t, db, "day", 24*time.Hour)
	setRule(t, db, "hour", time.Hour)
	setRule(t, db, "off", 0)
	want("plain", 0)
	setRule(t, db, "", 48*time.Hour)
	for id, every := range map[fleet.ID]time.Duration{
		"plain": 48 * time.Hour, "one": 24 * time.Hour, "two": time.Hour, "off": 0, "keyless": 0,
	} {
		want(id, every)
	}
	plain.Ownership = fleet.Left
	if err := db.Devices().Put(t.Context(), plain, "test", ""); err != nil {
		t.Fatal(err)
	}
	want("plain", 0)
	if err := db.Rounds().DropRule(t.Context(), "hour", "test"); err != nil {
		t.Fatal(err)
	}
	want("two", 24*time.Hour)
	if err := db.Rounds().DropRule(t.Context(), "hour", "test"); !errors.Is(err, ErrNoRule) {
		t.Errorf("dropped twice: %v, want ErrNoRule", err)
	}
	rules, err := db.Rounds().Rules(t.Context())
	if err != nil || len(rules) != 3 || rules[0] != (RoundRule{Every: 48 * time.Hour}) {
		t.Errorf("Rules = %+v, %v", rules, err)
	}
}

func TestRoundLists(t *testing.T) {
	db := open(t)
	states := map[fleet.ID]rounds.State{"a": rounds.Good, "b": rounds.Bad, "c": rounds.Mute, "d": rounds.Bad}
	for id, state := range states {
		putProvable(t, db, id)
		if err := db.Rounds().Commit(t.Context(), rounds.Round{Device: id, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := db.Rounds().List(t.Context(), "", "a", 2)
	if err != nil || len(all) != 2 || all[0].Device != "b" || all[1].Device != "c" || all[1].Endpoint != "urn:dev:c" {
		t.Errorf("List = %+v, %v", all, err)
	}
	bad, err := db.Rounds().List(t.Context(), rounds.Bad, "b", 9)
	if err != nil || len(bad) != 1 || bad[0].Device != "d" {
		t.Errorf("List(bad) = %+v, %v", bad, err)
	}
	if bad, mute, err := db.Rounds().Trouble(t.Context()); err != nil || bad != 2 || mute != 1 {
		t.Errorf("Trouble = %d, %d, %v", bad, mute, err)
	}
	d, err := db.Devices().Device(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	d.Ownership = fleet.Left // what it runs there is not ours to worry about
	if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
		t.Fatal(err)
	}
	if bad, _, err := db.Rounds().Trouble(t.Context()); err != nil || bad != 1 {
		t.Errorf("Trouble after one left = %d, %v", bad, err)
	}
}

// TestRoundQueriesUseIndexes: what is due and what waits is found without a walk
// through the fleet.
func TestRoundQueriesUseIndexes(t *testing.T) {
	db := open(t)
	for name, tt := range map[string]struct {
		args []any
		want string
	}{
		"round.due":      {[]any{10}, "attestation_round_due"},
		"round.waiting":  {[]any{"", 10}, "attestation_round_waiting"},
		"round.trouble":  {nil, "attestation_round_trouble"},
		"round.in_state": {[]any{"bad", "", 10}, "PRIMARY KEY"},
	} {
		wantPlan(t, db, name, tt.want, tt.args...)
	}
}
