package ui

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"steward/web"
	"steward/web/contract"
)

// explorerRoutes are the pages that show the REST API.
func (u *UI) explorerRoutes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/explorer", role: web.RoleViewer, handler: u.explorer},
		{method: http.MethodGet, pattern: "/explorer/{operation}", role: web.RoleViewer, handler: u.explorerOperation},
	}
}

// An explorerPage lists the operations of the REST API by what they are about.
type explorerPage struct {
	Description string
	Groups      []explorerGroup
}

type explorerGroup struct {
	Name       string
	Operations []contract.Operation
}

func (u *UI) explorer(w http.ResponseWriter, r *http.Request) error {
	if u.o.Contract == nil {
		return web.ErrNotBuilt
	}
	page := explorerPage{Description: u.o.Contract.Description}
	for _, o := range u.o.Contract.Operations {
		name := groupOf(o.Path)
		i := slices.IndexFunc(page.Groups, func(g explorerGroup) bool { return g.Name == name })
		if i < 0 {
			i = len(page.Groups)
			page.Groups = append(page.Groups, explorerGroup{Name: name})
		}
		page.Groups[i].Operations = append(page.Groups[i].Operations, o)
	}
	return u.show(w, r, http.StatusOK, "explorer", "activity", "REST API", page)
}

// groupOf returns the first word of a path that says what it is about.
func groupOf(path string) string {
	rest, below := strings.CutPrefix(path, "/api/v1/")
	if !below {
		if strings.HasPrefix(path, "/compat/") {
			return "compat"
		}
		return "health"
	}
	word, _, _ := strings.Cut(rest, "/")
	return word
}

// An explorerOperationPage shows one operation, to be tried.
type explorerOperationPage struct {
	Operation contract.Operation
	May       bool   // whether who looks may call it
	Body      string // JSON to begin with; "" takes none
	Answers   []explorerAnswer
}

type explorerAnswer struct {
	Status, Description, Types, Example string
}

func (u *UI) explorerOperation(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "operation")
	if u.o.Contract == nil {
		return web.ErrNotBuilt
	}
	i := slices.IndexFunc(u.o.Contract.Operations, func(o contract.Operation) bool { return o.ID == id })
	if i < 0 {
		return web.NotFound("operation", id)
	}
	o := u.o.Contract.Operations[i]
	page := explorerOperationPage{Operation: o, May: web.ActorFrom(r.Context()).Role.Includes(web.Role(o.Role))}
	if o.Body != nil {
		page.Body = indented(u.example(o.Body.Schema, 0))
	}
	for _, a := range o.Answers {
		page.Answers = append(page.Answers, u.explained(a))
	}
	return u.show(w, r, http.StatusOK, "explorer_operation", "activity", o.Method+" "+o.Path, page)
}

func (u *UI) explained(a contract.Answer) explorerAnswer {
	out := explorerAnswer{Status: "others", Description: a.Description}
	if a.Status != 0 {
		out.Status = strconv.Itoa(a.Status)
	}
	kinds := slices.Sorted(maps.Keys(a.Types))
	out.Types = strings.Join(kinds, ", ")
	for _, kind := range kinds {
		if s := a.Types[kind]; s != nil && strings.HasSuffix(kind, "json") {
			out.Example = indented(u.example(s, 0))
		}
	}
	return out
}

// maxExample is how deep examples nest.
const maxExample = 4

// example returns a value that shows what a schema allows.
func (u *UI) example(s *contract.Schema, depth int) any {
	s = u.o.Contract.Resolve(s)
	switch {
	case depth > maxExample:
		return nil
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " | ")
	case s.Default != nil:
		return s.Default
	}
	switch s.Type {
	case "object":
		out := map[string]any{}
		for name, p := range s.Properties {
			out[name] = u.example(p, depth+1)
		}
		return out
	case "array":
		if s.Items == nil {
			return []any{}
		}
		return []any{u.example(s.Items, depth+1)}
	case "integer", "number":
		return 0
	case "boolean":
		return false
	case "string":
		return s.Format + s.Encoding
	default:
		return nil
	}
}

func indented(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the template escapes
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}
