package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Pages is a set of parsed HTML pages. Each page is a template set of its own:
// the layout and the shared parts, and the page's file, which fills "main".
type Pages struct {
	sets map[string]*template.Template
}

// LoadPages parses layout.html, parts.html and each other *.html in files.
func LoadPages(files fs.FS, funcs template.FuncMap) (*Pages, error) {
	base, err := template.New("layout.html").Funcs(funcs).Option("missingkey=error").
		ParseFS(files, "layout.html", "parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, err
	}
	p := &Pages{sets: map[string]*template.Template{}}
	for _, name := range names {
		if name == "layout.html" || name == "parts.html" {
			continue
		}
		set, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if _, err := set.ParseFS(files, name); err != nil {
			return nil, err
		}
		p.sets[strings.TrimSuffix(path.Base(name), ".html")] = set
	}
	return p, nil
}

// Render answers status with the page called name. It writes nothing when the
// template fails.
func (p *Pages) Render(w http.ResponseWriter, status int, name string, data any) error {
	set, ok := p.sets[name]
	if !ok {
		return fmt.Errorf("web: no page %q", name)
	}
	var body bytes.Buffer
	if err := set.ExecuteTemplate(&body, "layout.html", data); err != nil {
		return fmt.Errorf("web: page %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // pages show what only this person may see
	w.WriteHeader(status)
	// The status is sent: an error now can only be a client that went away.
	_, _ = w.Write(body.Bytes())
	return nil
}
