package ui_test

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"steward/web"
	"steward/web/contract"
	"steward/web/webtest"
)

// restContract reads the contract of the REST API, once.
func restContract(t *testing.T) *contract.Document {
	t.Helper()
	d, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var readContract = sync.OnceValues(func() (*contract.Document, error) {
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		return nil, err
	}
	return contract.Parse(text)
})

// TestExplorer shows every operation, and none that there is not.
func TestExplorer(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleViewer)
	list := s.do(t, http.MethodGet, "/explorer", c, nil).Body.String()
	for _, o := range restContract(t).Operations {
		if !strings.Contains(list, `"/explorer/`+o.ID+`"`) {
			t.Errorf("the list lacks %s", o.ID)
		}
		w := s.do(t, http.MethodGet, "/explorer/"+o.ID, c, nil)
		text := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(text, `data-try="`+o.Method+`"`) {
			t.Errorf("GET /explorer/%s = %d", o.ID, w.Code)
		}
		if may := !strings.Contains(text, "Your role may not"); may != web.RoleViewer.Includes(web.Role(o.Role)) {
			t.Errorf("%s, for %q, may be sent by a viewer: %v", o.ID, o.Role, may)
		}
	}
	if w := s.do(t, http.MethodGet, "/explorer/none", c, nil); w.Code != http.StatusNotFound {
		t.Errorf("GET /explorer/none = %d", w.Code)
	}
}
