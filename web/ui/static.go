package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"steward/web"
)

//go:embed static/*
var staticFiles embed.FS

// assets are the static files and a version that changes with any of them.
type assets struct {
	files   map[string][]byte
	version string
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}}
	names, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, name := range names {
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		a.files[path.Base(name)] = body
		sum.Write(body)
	}
	a.version = hex.EncodeToString(sum.Sum(nil)[:6])
	return a, nil
}

// contentTypes of the files we have; the system's own table may lack or change them.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// asset serves one static file, for ever under the address that names its version.
func (u *UI) asset(w http.ResponseWriter, r *http.Request) error {
	name := web.Param(r, "file")
	body, ok := u.static.files[name]
	if !ok {
		return web.ErrNotFound
	}
	kind := contentTypes[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == u.static.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(body) // an error is a client that went away
	return nil
}
