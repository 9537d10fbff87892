package scope_test

import (
	"testing"

	"steward/web"
	"steward/web/scope"
	"steward/web/webtest"
)

// TestWhereArchivesAre tells a path of the machine to its administrators only.
func TestWhereArchivesAre(t *testing.T) {
	s := scope.Services((&webtest.Fake{Text: "/var/lib/steward/audit"}).Services())
	groups, err := web.ParseScope([]string{"own"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		actor web.Actor
		told  bool
	}{
		{web.Actor{Name: "a", Role: web.RoleAdmin}, true},
		{web.Actor{Name: "g", Role: web.RoleAdmin, Scope: groups}, false},
		{web.Actor{Name: "s", Role: web.RoleSecurity}, false},
		{web.Actor{Name: "o", Role: web.RoleOperator}, false},
		{web.Actor{Name: "v", Role: web.RoleViewer}, false},
	} {
		got, err := s.Settings.Retention(web.WithActor(t.Context(), row.actor))
		if err != nil || (got.AuditArchive != "") != row.told || got.Audit == 0 {
			t.Errorf("%s: %+v, %v", row.actor.Name, got, err)
		}
	}
}
