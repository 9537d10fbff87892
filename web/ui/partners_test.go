package ui_test

import (
	"net/http"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// TestOwnKeysAreShown shows our keys whole, in groups as people read them out.
func TestOwnKeysAreShown(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleViewer)
	body := s.do(t, http.MethodGet, "/partners", c, nil).Body.String()
	var groups []string
	for hash := webtest.KeyHash; hash != ""; hash = hash[4:] {
		groups = append(groups, hash[:4])
	}
	if want := strings.Join(groups, " "); strings.Count(body, want) != 2 { // TLS and signing
		t.Errorf("the page lacks %q twice\n%s", want, body)
	}
}
