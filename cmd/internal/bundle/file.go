package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"steward/cmd/internal/keys"
)

// Load reads the bundles that paths name: files, or directories with files that
// end in Suffix. They come in the order of paths, and of names in directories.
func Load(paths ...string) ([]*Bundle, error) {
	var all []*Bundle
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			b, err := Read(file)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
	}
	return all, nil
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	files, err := filepath.Glob(filepath.Join(path, "*"+Suffix))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%w: no *%s in %s", ErrBundle, Suffix, path)
	}
	slices.Sort(files)
	return files, err
}

// Read reads one file.
func Read(path string) (*Bundle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrBundle, path, info.Size())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Parse reads a bundle. It returns ErrBundle.
func Parse(raw []byte) (*Bundle, error) {
	b := &Bundle{}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if decoder.More() {
		return nil, fmt.Errorf("%w: trailing text", ErrBundle)
	}
	return b, b.Complete()
}

// Name returns the name of the bundle's file.
func (b *Bundle) Name() string {
	safe := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:", r) {
			return r
		}
		return '_'
	}
	return strings.Map(safe, b.Endpoint) + Suffix
}

// Write writes the bundle into dir, readable by its owner only, and returns the
// path. After a crash there is the old file or the new one.
func (b *Bundle) Write(dir string) (string, error) {
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBundle, err)
	}
	path := filepath.Join(dir, b.Name())
	return path, keys.WriteFile(path, append(raw, '\n'))
}
