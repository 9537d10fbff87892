package durable_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"steward/cmd/internal/durable"
)

func TestSyncDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := durable.SyncDirectory(dir); err != nil {
		t.Error(err)
	}
	if err := durable.SyncDirectory(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}
