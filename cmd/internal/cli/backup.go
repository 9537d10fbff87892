package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/backup"
)

func newBackup() *cobra.Command {
	o, m := &operator{}, maintenance{}
	cmd := &cobra.Command{
		Use: "backup [flags] FILE", Short: "Write a provider to one file, while it runs or stopped", Args: one("file"),
		Long: `Writes one file that holds a provider: database, certificates, keys (encrypted as
they are), revocations, refreshes; a manifest says what is in it, with a SHA-256 for
each part. The file is read again and checked before the command ends, and has its
name only then.

The provider at --url makes it while it serves; --token-file has the token of an
administrator. With --data, the provider that does not run in that directory is
written; --config says where its keys and its revocations are.

It leaves out what must not come back: associations of DTLS, the token of the
administrator, and the key in machine/, without which the backup's keys open only by
their passphrase. Keep a copy of that key apart. Files that the settings name (TOML,
lists of names, certificates of other names) are not in it.`,
		Example: `  steward backup /backup/monday.steward
  steward backup --data /var/lib/steward /backup/stopped.steward`,
		RunE: func(cmd *cobra.Command, args []string) error {
			write := func(ctx context.Context, w io.Writer) error {
				api, err := o.api()
				if err != nil {
					return err
				}
				return api.Download(ctx, http.MethodPost, "/backups", w)
			}
			if m.data != "" || m.file != "" {
				cfg, err := m.config()
				if err != nil {
					return err
				}
				write = func(ctx context.Context, w io.Writer) error { return app.BackupStopped(ctx, cfg, w) }
			}
			a, err := writeBackup(cmd.Context(), args[0], write)
			if err != nil {
				return err
			}
			return o.print(cmd, a.Manifest, func() [][]string { return manifestRows(a.Manifest) })
		},
	}
	o.flags(cmd)
	m.flags(cmd)
	return cmd
}

// writeBackup writes a backup to a file, which is there whole and checked or not at all.
func writeBackup(
	ctx context.Context, name string, write func(context.Context, io.Writer) error,
) (a backup.Archive, err error) {
	if _, err := os.Lstat(name); err == nil {
		return a, fmt.Errorf("%w: %s is there already", errMisused, name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".backup-*") // mode 0600
	if err != nil {
		return a, misusedFile(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has another name if all went well
	err = write(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		a, err = backup.Unpack(f, "")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return a, err
	}
	return a, os.Rename(f.Name(), name)
}

func manifestRows(m backup.Manifest) [][]string {
	var size int64
	for _, p := range m.Parts {
		size += p.Size
	}
	rows := [][]string{
		{"provider", m.Provider},
		{"taken at", instant(m.TakenAt)},
		{"program", m.Program},
		{"schema", strconv.Itoa(m.Schema)},
		{"audit rows", strconv.FormatInt(m.AuditRows, 10)},
		{"parts", strconv.Itoa(len(m.Parts))},
		{"bytes", strconv.FormatInt(size, 10)},
	}
	for _, l := range m.LeftOut {
		rows = append(rows, []string{"left out", l.Name + ": " + l.Why})
	}
	return rows
}

func newRestore() *cobra.Command {
	var m maintenance
	var r app.Restore
	var asJSON, check bool
	cmd := &cobra.Command{
		Use: "restore [flags] FILE", Short: "Make a data directory of a backup", Args: one("file"),
		Long: `Makes the data directory (--data) of a backup: every part is compared with its
SHA-256, the database is checked whole with its audit chain, the keys must open and
fit the manifest's seal. It is there whole or not at all. A directory that is not
empty is refused; with --replace it is renamed, and its newer file of revocations is
taken.

What may have been used up since the backup is made safe: rights to enrol are closed
until people decide ("steward reconcile"), operations that waited for devices are
cancelled, sessions are ended. What was revoked since stays revoked if the newest file
of revocations is given: kept apart by the settings, in the directory that is replaced,
or by --revocations.

Keys open by their passphrase, or by the machine's key: --machine-key.`,
		Example: `  steward restore --data /var/lib/steward --machine-key /safe/machine.key /backup/monday.steward
  steward restore --check /backup/monday.steward`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return misusedFile(err)
			}
			defer func() { _ = f.Close() }() // it was only read
			o := operator{asJSON: asJSON}
			if check {
				a, err := backup.Unpack(f, "")
				if err != nil {
					return err
				}
				return o.print(cmd, a.Manifest, func() [][]string { return manifestRows(a.Manifest) })
			}
			if r.Config, err = m.config(); err != nil {
				return err
			}
			out, err := app.RestoreBackup(cmd.Context(), f, r)
			if err != nil {
				return err
			}
			return o.print(cmd, out, func() [][]string { return restoredRows(out, r.Config.Data) })
		},
	}
	m.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Revocations, "revocations", "", "newest `file` of revocations")
	f.StringVar(&r.MachineKey, "machine-key", "", "`file` of the machine's key (machine/key)")
	f.BoolVar(&r.Replace, "replace", false, "rename a directory that is not empty")
	f.BoolVar(&check, "check", false, "only compare the file with its manifest")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func restoredRows(out app.Restored, data string) [][]string {
	r := out.Report
	rows := append(manifestRows(out.Manifest), [][]string{
		{"restored to", data},
		{"rights closed", strconv.Itoa(r.Closed), "steward reconcile opens them when you know who may enrol"},
		{"operations cancelled", strconv.Itoa(r.Cancelled), "they may have been performed since"},
		{"sessions ended", strconv.Itoa(r.Sessions)},
		{"API tokens", strconv.Itoa(r.Tokens), "as good as when the backup was made: withdraw what was withdrawn since"},
		{"campaigns under way", strconv.Itoa(r.Campaigns), "each device is asked how far it is before anything is done"},
		{"transfers under way", strconv.Itoa(r.Transfers), "compare them with your partners"},
		{"devices", strconv.Itoa(r.Devices), "those that enrolled since come back by their factory certificates"},
	}...)
	if out.Revocations != "" {
		rows = append(rows, []string{"revocations", out.Revocations})
	} else {
		rows = append(rows, []string{
			"revocations", "of " + out.Manifest.TakenAt.Format(time.RFC3339), "revoke again what was since",
		})
	}
	if out.Replaced != "" {
		rows = append(rows, []string{"before", out.Replaced})
	}
	return rows
}
