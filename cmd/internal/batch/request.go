package batch

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A Request is a PKCS #10 request in DER, and where it was found.
type Request struct {
	Path string
	DER  []byte
}

// maxRequestFile bounds a file with requests: a hundred thousand in PEM.
const maxRequestFile = 64 << 20

// ReadRequests reads the requests of a file, or of all files of a directory: one in
// DER, or several in PEM. It returns ErrList.
func ReadRequests(path string) ([]Request, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filesIn(path); err != nil {
			return nil, err
		}
	}
	var out []Request
	for _, file := range files {
		some, err := requestsOf(file)
		if err != nil {
			return nil, err
		}
		if out = append(out, some...); len(out) > MaxEntries {
			return nil, errMany
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no request in %s", ErrList, path)
	}
	return out, nil
}

func filesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

func requestsOf(path string) ([]Request, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRequestFile {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrList, path, info.Size())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(raw, []byte("-----BEGIN")) {
		return []Request{{path, raw}}, nil
	}
	var out []Request
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
			return nil, fmt.Errorf("%w: %s: %.40q is no request", ErrList, path, block.Type)
		}
		if len(out) == MaxEntries {
			return nil, errMany
		}
		out = append(out, Request{path, block.Bytes})
	}
	return out, nil
}
