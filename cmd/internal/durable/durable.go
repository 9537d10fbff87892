// Package durable has what was written be there after a crash of the machine.
package durable

import (
	"errors"
	"os"
)

// SyncDirectory has the names in a directory on the disk: files that were made, renamed
// and removed in it.
func SyncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
