package servertest

import (
	"reflect"
	"strconv"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

func testProfiles(t *testing.T, s server.Store) {
	t.Helper()
	list := func() (all []server.LearnedProfile) {
		t.Helper()
		if err := s.EachProfile(t.Context(), func(p server.LearnedProfile) { all = append(all, p) }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	keep := func(all ...server.LearnedProfile) {
		t.Helper()
		for _, p := range all {
			if err := s.KeepProfile(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	hash := server.LearnedProfile{
		Secure: true, ID: lwm2m.Profile{Suite: 6, Hash: "27354b9a"}, Root: "/lwm2m", Formats: []uint16{60},
		Objects: []server.ObjectLink{{Path: lwm2m.NewPath(1, 0)}, {Path: lwm2m.NewPath(3, 0), Version: "1.2"}},
	}
	plain := hash
	plain.Secure, plain.Root = false, ""
	named := server.LearnedProfile{Secure: true, ID: lwm2m.Profile{Name: "oma:x"}, Disputed: true}
	keep(hash, plain, named, hash)
	if got := list(); !reflect.DeepEqual(got, []server.LearnedProfile{hash, plain, named}) {
		t.Errorf("kept %+v", got)
	}
	disputed := server.LearnedProfile{Secure: true, ID: hash.ID, Disputed: true}
	keep(disputed)
	if got := list(); len(got) != 3 || !reflect.DeepEqual(got[0], disputed) {
		t.Errorf("after a dispute %+v", got)
	}
	for i := range server.MaxProfiles - 1 {
		keep(server.LearnedProfile{ID: lwm2m.Profile{Name: "v:" + strconv.Itoa(i)}})
	}
	if got := list(); len(got) != server.MaxProfiles || !reflect.DeepEqual(got[0], named) {
		t.Errorf("%d kept, the oldest of them %+v", len(got), got[0].ID)
	}
}
