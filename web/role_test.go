package web_test

import (
	"encoding/json"
	"errors"
	"testing"

	"steward/web"
)

func TestRoles(t *testing.T) {
	for name, want := range map[string]web.Role{
		"viewer": "viewer", "release+operator": "operator+release", "viewer+security": "security",
		"admin+viewer": "admin", "operator+operator": "operator",
	} {
		if got, err := web.ParseRole(name); err != nil || got != want {
			t.Errorf("ParseRole(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "king", "operator+", "+", "Admin", "operator,release", "operator + release"} {
		if _, err := web.ParseRole(bad); !errors.Is(err, web.ErrRole) {
			t.Errorf("ParseRole(%q) = %v, want ErrRole", bad, err)
		}
	}
	both := web.AnyOf(web.RoleOperator, web.RoleRelease)
	for _, row := range []struct {
		has, need        web.Role
		includes, covers bool
	}{
		{web.RoleAdmin, web.RoleSecurity, true, true},
		{web.RoleSecurity, web.RoleOperator, false, false},
		{web.RoleSecurity, web.RoleViewer, true, true},
		{web.RoleViewer, web.RoleOperator, false, false},
		{both, web.RoleRelease, true, true},
		{both, web.RoleAdmin, false, false},
		{web.RoleOperator, both, true, false}, // enough for a need, not for giving it away
		{both, both, true, true},
		{"king", web.RoleViewer, false, false},
		{"king", "king", false, false},
		{web.RoleNone, web.RoleViewer, false, false},
		{"", "", true, true},
	} {
		if got := row.has.Includes(row.need); got != row.includes {
			t.Errorf("%q includes %q: %v", row.has, row.need, got)
		}
		if got := row.has.Covers(row.need); got != row.covers {
			t.Errorf("%q covers %q: %v", row.has, row.need, got)
		}
	}
}

func TestScope(t *testing.T) {
	s, err := web.ParseScope([]string{"south", "north", "south"})
	if err != nil || s != "north,south" {
		t.Fatalf("ParseScope = %q, %v", s, err)
	}
	for _, bad := range [][]string{{""}, {"a,b"}, {" a"}, make([]string, 17), {"a\n"}} {
		if _, err := web.ParseScope(bad); !errors.Is(err, web.ErrScope) {
			t.Errorf("ParseScope(%q) = %v, want ErrScope", bad, err)
		}
	}
	for _, row := range []struct {
		has, other web.Scope
		want       bool
	}{
		{"", "north", true},
		{"", "", true},
		{"north", "", false},
		{"north,south", "north", true},
		{"north", "north,south", false},
		{"north", "east", false},
	} {
		if got := row.has.Covers(row.other); got != row.want {
			t.Errorf("%q covers %q: %v", row.has, row.other, got)
		}
	}
	text, err := json.Marshal(s)
	var back web.Scope
	if err != nil || string(text) != `["north","south"]` || json.Unmarshal(text, &back) != nil || back != s {
		t.Errorf("JSON %s, %v, back %q", text, err, back)
	}
	if text, _ := json.Marshal(web.Scope("")); string(text) != "[]" {
		t.Errorf("JSON of all devices = %s", text)
	}
}
